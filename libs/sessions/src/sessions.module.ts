import { Module } from '@nestjs/common';
import { LostGateways } from './lost-gateways.js';
import { ProjectorController } from './projector.controller.js';
import { SessionsController } from './sessions.controller.js';

/**
 * The session API and the projector: needs, from a global module, EventLog, Mailbox, Projection, Processes, SessionReads,
 * SessionAccess, SessionsSettings and SessionsReporter.
 */
@Module({ controllers: [SessionsController, ProjectorController], providers: [LostGateways] })
export class SessionsModule {}
