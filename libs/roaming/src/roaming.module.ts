import { Module } from '@nestjs/common';
import { Exports } from './exports.js';
import { RoamingController } from './roaming.controller.js';

/** Roaming: needs, from a global module, EventLog, Freshness, SessionReads, SessionAccess, RoamingTokens and RoamingSettings. */
@Module({ controllers: [RoamingController], providers: [Exports] })
export class RoamingModule {}
