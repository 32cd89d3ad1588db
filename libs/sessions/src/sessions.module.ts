import type { DynamicModule } from '@nestjs/common';
import { Quarantine } from '#libs/store';
import { Module } from '@nestjs/common';
import { Metrics, ProjectionMetrics } from '#libs/telemetry';
import { LifeController } from './life.controller.js';
import { LostGateways } from './lost-gateways.js';
import { ProjectionLag } from './projection-lag.js';
import { ProjectorController } from './projector.controller.js';
import { SessionListController } from './session-list.controller.js';
import { SessionsController } from './sessions.controller.js';
import { SnapshotsController } from './snapshots.controller.js';
import { SessionsOptions } from './sessions-options.js';

/**
 * The session API and the projector. From global modules it takes EventLog, Mailbox, Projection,
 * Processes, SessionReads, SessionList, ToolReads, Transcripts, Snapshots, SessionLog, Maintenance,
 * SessionTokens, SessionAccess, QueueHeads, Database, Metrics and Tracing; the application needs an
 * `EventLogTransport`.
 */
@Module({})
export class SessionsModule {
  static register(options: SessionsOptions): DynamicModule {
    return {
      module: SessionsModule,
      controllers: [
        SessionListController,
        SessionsController,
        LifeController,
        SnapshotsController,
        ProjectorController,
      ],
      providers: [
        { provide: SessionsOptions, useValue: options },
        LostGateways,
        ProjectionLag,
        {
          provide: ProjectionMetrics,
          useFactory: (metrics: Metrics, lag: ProjectionLag, quarantine: Quarantine) =>
            new ProjectionMetrics(metrics, {
              projected: () => lag.projected(),
              waiting: () => lag.waiting(),
              quarantined: async () => (await quarantine.counts()).sessions,
            }),
          inject: [Metrics, ProjectionLag, Quarantine],
        },
      ],
    };
  }
}
