import type { DynamicModule } from '@nestjs/common';
import { Quarantine, QueueHeads } from '#libs/store';
import { Module } from '@nestjs/common';
import { Metrics, ProjectionMetrics } from '#libs/telemetry';
import { deadline } from '#libs/timing';
import { LifeController } from './life.controller.js';
import { LostGateways } from './lost-gateways.js';
import { ProjectorController } from './projector.controller.js';
import { SessionListController } from './session-list.controller.js';
import { SessionsController } from './sessions.controller.js';
import { SnapshotsController } from './snapshots.controller.js';
import { SessionsOptions } from './sessions-options.js';
import { SuspensionTimeout } from './suspension-timeout.js';

/** How long a scrape waits for the database, in ms; then it goes without it. */
const LOOK_MS = 1_000;
/** Sessions that are counted; whoever sees as many knows enough. */
const MOST_WAITING = 1_000;

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
        SuspensionTimeout,
        {
          provide: ProjectionMetrics,
          useFactory: (metrics: Metrics, heads: QueueHeads, quarantine: Quarantine) =>
            new ProjectionMetrics(metrics, {
              waiting: () =>
                deadline('the count of waiting sessions', heads.count(MOST_WAITING), LOOK_MS),
              quarantined: async () => (await quarantine.counts()).sessions,
            }),
          inject: [Metrics, QueueHeads, Quarantine],
        },
      ],
    };
  }
}
