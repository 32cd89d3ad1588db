import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Append, EventLog, LogReader } from '#libs/event-log';
import {
  ConsumerPositions,
  SqliteEventLog,
  eventLogEntities,
  eventLogMigrations,
} from '#libs/event-log';
import type { LogEvent } from '#libs/protocol';
import type { Database } from '#libs/sql';
import { openSqlite } from '#libs/sql';
import {
  Claims,
  Freshness,
  Processes,
  Projection,
  ProjectionProgress,
  SessionReads,
  storeEntities,
  storeMigrations,
} from '#libs/store';

const CONSUMER = 'projector';

/**
 * Log, claims and read models as the embedded server has them, in a directory of their own, with a
 * projector at work.
 */
export class TestBackend {
  readonly log: EventLog;
  readonly claims: Claims;
  readonly processes: Processes;
  readonly reads: SessionReads;
  readonly freshness: Freshness;
  private readonly positions: ConsumerPositions;
  private readonly progress: ProjectionProgress;

  private constructor(
    private readonly directory: string,
    readonly database: Database,
  ) {
    this.log = new SqliteEventLog(database);
    this.claims = new Claims(database);
    this.processes = new Processes(database);
    this.reads = new SessionReads(database);
    this.positions = new ConsumerPositions(database);
    this.progress = new ProjectionProgress((partition) => this.positions.load(CONSUMER, partition));
    this.freshness = new Freshness(database, this.log, this.progress);
  }

  static async open(): Promise<TestBackend> {
    const directory = await mkdtemp(join(tmpdir(), 'completions-'));
    const database = await openSqlite({
      file: join(directory, 'sbp.sqlite'),
      entities: [...storeEntities, ...eventLogEntities('sqlite')],
      migrations: [...eventLogMigrations('sqlite'), ...storeMigrations],
    });
    const backend = new TestBackend(directory, database);
    await backend.log.subscribe(backend.reader());
    return backend;
  }

  async close(): Promise<void> {
    await this.log.close();
    await this.database.close();
    await rm(this.directory, { recursive: true, force: true });
  }

  /** Appends facts and waits until they are folded. */
  async append(...events: Append): Promise<void> {
    const outcome = await this.log.append(events);
    if (outcome.type !== 'appended') throw new Error(outcome.detail);
    await this.freshness.reached(outcome.position);
  }

  /** All facts so far, oldest first. */
  async facts(): Promise<readonly LogEvent[]> {
    const found: LogEvent[] = [];
    for await (const records of this.log.read(0, 0)) {
      for (const { event } of records) if (event !== null) found.push(event);
    }
    return found;
  }

  private reader(): LogReader {
    const projection = new Projection();
    return {
      consumer: CONSUMER,
      batchSize: 100,
      position: (partition) => this.positions.load(CONSUMER, partition),
      onProblem: (problem, error) => {
        throw new Error(problem, { cause: error });
      },
      handle: async (batch) => {
        const events = batch.records.flatMap(({ event }) => (event === null ? [] : [event]));
        const done = await this.database.write(async (transaction) => {
          if (!(await this.positions.advance(transaction, batch))) return false;
          await projection.apply(transaction, events);
          return true;
        });
        if (!done) return 'stale';
        this.progress.advanced(batch.partition, batch.next);
        return 'done';
      },
    };
  }
}
