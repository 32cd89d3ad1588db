import { randomUUID } from 'node:crypto';
import type { DynamicModule, Provider } from '@nestjs/common';
import { Global, Module } from '@nestjs/common';
import { RequestLoad, SessionAccess } from '#libs/access';
import { Principals, SessionTokens } from '#libs/auth';
import { EventLog } from '#libs/event-log';
import { Mailbox } from '#libs/mailbox';
import type { ProcessAddress } from '#libs/protocol';
import { Maintenance, SessionLog, SessionReleases } from '#libs/session-log';
import {
  Claims,
  Freshness,
  Heartbeat,
  Orphans,
  ProcessIdentity,
  Processes,
  QueueHeads,
  SessionReads,
  SurfaceReads,
  ToolReads,
  Transcripts,
  TurnKeys,
  UnconfirmedAnswers,
} from '#libs/store';
import { Metrics, NO_TRACING, Tracing } from '#libs/telemetry';
import type { TestBackend } from './test-backend.js';

/** One process on a backend: what it shares with the others, and what is its own. */
export class TestProcess {
  readonly claims: Claims;
  readonly unconfirmed: UnconfirmedAnswers;
  readonly transcripts: Transcripts;
  /** It does not beat before it is started. */
  readonly heartbeat: Heartbeat;
  /** What its heartbeat met. */
  readonly faults: string[] = [];
  private readonly identity: ProcessIdentity;

  private constructor(
    readonly backend: TestBackend,
    readonly address: ProcessAddress,
  ) {
    const { database, processes } = backend;
    this.claims = new Claims(database);
    this.unconfirmed = new UnconfirmedAnswers(database);
    this.transcripts = new Transcripts(database);
    this.identity = new ProcessIdentity(address);
    const { claims, unconfirmed, identity } = this;
    this.heartbeat = new Heartbeat(processes, claims, unconfirmed, identity, {
      onRefused: () => void this.faults.push('the heartbeat was refused'),
      onFailed: (error) => void this.faults.push(String(error)),
    });
  }

  /** A new process, in a slot of its own. */
  static async on(backend: TestBackend): Promise<TestProcess> {
    return new TestProcess(backend, await backend.processes.lease(randomUUID()));
  }

  /** The global module that a service takes its parts from. `more`: a model, its prices. */
  module(...more: readonly Exclude<Provider, () => unknown>[]): DynamicModule {
    const { backend, claims } = this;
    const providers: Provider[] = [
      { provide: EventLog, useValue: backend.log },
      { provide: Mailbox, useValue: backend.mailbox },
      { provide: SessionTokens, useValue: backend.tokens },
      { provide: RequestLoad, useValue: new RequestLoad(1_000) },
      { provide: Principals, useValue: new Principals({ type: 'open' }) },
      { provide: Processes, useValue: backend.processes },
      { provide: Freshness, useValue: backend.freshness },
      { provide: SessionReads, useValue: backend.sessions },
      { provide: SurfaceReads, useValue: backend.surfaces },
      { provide: ToolReads, useValue: new ToolReads(backend.database) },
      { provide: Claims, useValue: claims },
      { provide: Orphans, useValue: new Orphans(backend.database, claims.inUse) },
      { provide: QueueHeads, useValue: new QueueHeads(backend.database) },
      { provide: TurnKeys, useValue: new TurnKeys(backend.database) },
      { provide: UnconfirmedAnswers, useValue: this.unconfirmed },
      { provide: Transcripts, useValue: this.transcripts },
      { provide: ProcessIdentity, useValue: this.identity },
      { provide: Heartbeat, useValue: this.heartbeat },
      { provide: Metrics, useValue: new Metrics() },
      { provide: Tracing, useValue: NO_TRACING },
      SessionAccess,
      SessionLog,
      SessionReleases,
      Maintenance,
      ...more,
    ];
    return { module: ProcessModule, providers, exports: providers };
  }
}

@Global()
@Module({})
class ProcessModule {}
