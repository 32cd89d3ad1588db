import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { SessionTokens } from '#libs/auth';
import type { Append, AppendOutcome, LogReader, LogRecord, LogSubscription } from '#libs/event-log';
import {
  ConsumerPositions,
  EventLog,
  SqliteEventLog,
  eventLogEntities,
  eventLogMigrations,
} from '#libs/event-log';
import { InProcessMailbox } from '#libs/mailbox';
import type { LogEvent } from '#libs/protocol';
import type { Database } from '#libs/sql';
import { openSqlite } from '#libs/sql';
import {
  Freshness,
  Projection,
  ProjectionProgress,
  SessionReads,
  SurfaceReads,
  storeEntities,
  storeMigrations,
} from '#libs/store';

const CONSUMER = 'projection';

/** A log whose appends can be delayed or refused. */
export class ObstructedLog extends EventLog {
  /** Runs before each append; it may wait or throw. */
  obstacle: (events: Append) => Promise<void> = () => Promise.resolve();

  constructor(private readonly log: EventLog) {
    super();
  }

  override get partitions(): number {
    return this.log.partitions;
  }

  override get description(): string {
    return this.log.description;
  }

  override partitionOf(sessionId: string): number {
    return this.log.partitionOf(sessionId);
  }

  override async append(events: Append): Promise<AppendOutcome> {
    await this.obstacle(events);
    return this.log.append(events);
  }

  override end(partition: number): Promise<number> {
    return this.log.end(partition);
  }

  override subscribe(reader: LogReader): Promise<LogSubscription> {
    return this.log.subscribe(reader);
  }

  override read(partition: number, from: number): AsyncIterable<readonly LogRecord[]> {
    return this.log.read(partition, from);
  }

  override check(): Promise<void> {
    return this.log.check();
  }

  override close(): Promise<void> {
    return this.log.close();
  }
}

/**
 * Log, projection, mailbox and tokens, as the embedded server has them: real parts in a directory
 * of their own.
 */
export class TestBackend {
  readonly log: ObstructedLog;
  readonly mailbox = new InProcessMailbox((problem, error) => {
    throw new Error(problem, { cause: error });
  });
  readonly tokens = new SessionTokens(Buffer.from(randomUUID()));
  readonly reads: SurfaceReads;
  readonly sessions: SessionReads;
  readonly freshness: Freshness;
  /** Whether the projector tells gateways of what it folded. */
  pokes = true;
  private readonly positions: ConsumerPositions;
  private readonly projection = new Projection();
  private readonly progress: ProjectionProgress;

  private constructor(
    private readonly directory: string,
    private readonly database: Database,
  ) {
    this.log = new ObstructedLog(new SqliteEventLog(database));
    this.reads = new SurfaceReads(database);
    this.sessions = new SessionReads(database);
    this.positions = new ConsumerPositions(database);
    this.progress = new ProjectionProgress((partition) => this.positions.load(CONSUMER, partition));
    this.freshness = new Freshness(database, this.log, this.progress);
  }

  static async open(): Promise<TestBackend> {
    const directory = await mkdtemp(path.join(tmpdir(), 'gateway-'));
    const database = await openSqlite({
      file: path.join(directory, 'sbp.sqlite'),
      entities: [...storeEntities, ...eventLogEntities('sqlite')],
      migrations: [...eventLogMigrations('sqlite'), ...storeMigrations],
    });
    const backend = new TestBackend(directory, database);
    await backend.log.subscribe(backend.reader());
    return backend;
  }

  async close(): Promise<void> {
    await this.log.close();
    await this.mailbox.close();
    await this.database.close();
    await rm(this.directory, { recursive: true, force: true });
  }

  /** Appends events and waits until they are folded. */
  async append(...events: Append): Promise<void> {
    const outcome = await this.log.append(events);
    if (outcome.type !== 'appended') throw new Error(outcome.detail);
    await this.freshness.reached(outcome.position);
  }

  /** All events of a session so far, oldest first. */
  async events(sessionId: string): Promise<readonly LogEvent[]> {
    const found: LogEvent[] = [];
    for await (const records of this.log.read(0, 0)) {
      for (const { event } of records) if (event?.session_id === sessionId) found.push(event);
    }
    return found;
  }

  private reader(): LogReader {
    return {
      consumer: CONSUMER,
      batchSize: 100,
      position: (partition) => this.positions.load(CONSUMER, partition),
      onProblem: (problem, error) => {
        throw new Error(problem, { cause: error });
      },
      handle: async (batch) => {
        const events = batch.records.flatMap(({ event }) => (event === null ? [] : [event]));
        const pokes = await this.database.write(async (transaction) => {
          if (!(await this.positions.advance(transaction, batch))) return null;
          return this.projection.apply(transaction, events);
        });
        if (pokes === null) return 'stale';
        this.progress.advanced(batch.partition, batch.next);
        for (const { sessionId, gateway } of this.pokes ? pokes : []) {
          void this.mailbox.send(gateway, { type: 'poke', session_id: sessionId });
        }
        return 'done';
      },
    };
  }
}
