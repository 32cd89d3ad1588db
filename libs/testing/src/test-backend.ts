import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SessionTokens } from '#libs/auth';
import type { Append, LogBatch, LogReader } from '#libs/event-log';
import {
  ConsumerPositions,
  SqliteEventLog,
  eventLogEntities,
  eventLogMigrations,
} from '#libs/event-log';
import { InProcessMailbox } from '#libs/mailbox';
import type { LogEvent } from '#libs/protocol';
import { SessionLog } from '#libs/session-log';
import type { Database } from '#libs/sql';
import { openSqlite } from '#libs/sql';
import type { PokeTarget } from '#libs/store';
import {
  Claims,
  Freshness,
  PROJECTOR,
  Processes,
  Projection,
  ProjectionProgress,
  SessionReads,
  SurfaceReads,
  storeEntities,
  storeMigrations,
} from '#libs/store';
import { TestLog } from './test-log.js';

/**
 * What the processes of one installation share, as the embedded server has it: log, claims and read
 * models in a directory of their own, a mailbox, tokens, and the projection at work on the log.
 */
export class TestBackend {
  readonly log: TestLog;
  readonly mailbox = new InProcessMailbox((problem, error) => {
    throw new Error(problem, { cause: error });
  });
  readonly tokens = new SessionTokens(Buffer.from(randomUUID()));
  /** For looking, and for what processes did that the test does not run. */
  readonly claims: Claims;
  readonly processes: Processes;
  readonly sessions: SessionReads;
  readonly surfaces: SurfaceReads;
  readonly freshness: Freshness;
  readonly sessionLog: SessionLog;
  /** Whether the projector tells gateways of what it folded. */
  pokes = true;
  private readonly positions: ConsumerPositions;
  private readonly projection = new Projection();
  private readonly progress: ProjectionProgress;
  private folding: Promise<void> = Promise.resolve();

  private constructor(
    private readonly directory: string,
    readonly database: Database,
  ) {
    this.log = new TestLog(new SqliteEventLog(database));
    this.claims = new Claims(database);
    this.processes = new Processes(database);
    this.sessions = new SessionReads(database);
    this.surfaces = new SurfaceReads(database);
    this.positions = new ConsumerPositions(database);
    this.progress = new ProjectionProgress(() => this.positions.loadAll(PROJECTOR));
    this.freshness = new Freshness(database, this.log, this.progress);
    this.sessionLog = new SessionLog(this.log, this.freshness);
  }

  static async open(): Promise<TestBackend> {
    const directory = await mkdtemp(join(tmpdir(), 'backend-'));
    const database = await openSqlite({
      file: join(directory, 'sbp.sqlite'),
      entities: [...storeEntities, ...eventLogEntities('sqlite')],
      migrations: [...eventLogMigrations('sqlite'), ...storeMigrations],
    });
    const backend = new TestBackend(directory, database);
    await backend.log.subscribe(backend.reader());
    return backend;
  }

  /** The processes on it must have ended. */
  async close(): Promise<void> {
    await this.log.close();
    await this.mailbox.close();
    await this.database.close();
    await rm(this.directory, { recursive: true, force: true });
  }

  /** Appends events and waits until they are folded; gives the offset of the last. */
  async append(...events: Append): Promise<number> {
    const outcome = await this.log.append(events);
    if (outcome.type !== 'appended') throw new Error(outcome.detail);
    await this.freshness.untilFolded(outcome.position);
    return outcome.position.offset;
  }

  /** Keeps the projector from folding anything more until `goOn` is called. */
  holdFold(): { readonly goOn: () => void } {
    const held = Promise.withResolvers<undefined>();
    this.folding = held.promise;
    return { goOn: () => held.resolve(undefined) };
  }

  /** All events so far, of one session or of all, oldest first. */
  async events(sessionId?: string): Promise<readonly LogEvent[]> {
    const found: LogEvent[] = [];
    for await (const records of this.log.read(0, 0)) {
      for (const { event } of records) {
        const isWanted = sessionId === undefined || event?.session_id === sessionId;
        if (event !== null && isWanted) found.push(event);
      }
    }
    return found;
  }

  private reader(): LogReader {
    return {
      consumer: PROJECTOR,
      batchSize: 100,
      position: (partition) => this.positions.load(PROJECTOR, partition),
      onProblem: (problem, error) => {
        throw new Error(problem, { cause: error });
      },
      handle: async (batch) => {
        await this.folding;
        const pokes = await this.fold(batch);
        if (pokes === null) return 'stale';
        this.progress.advanced(batch.partition, batch.next);
        for (const { sessionId, process } of this.pokes ? pokes : []) {
          void this.mailbox.send(process, { type: 'poke', session_id: sessionId });
        }
        return 'done';
      },
    };
  }

  private fold(batch: LogBatch): Promise<readonly PokeTarget[] | null> {
    return this.database.write(async (transaction) => {
      if (!(await this.positions.advance(transaction, batch))) return null;
      const { pokes } = await this.projection.apply(transaction, batch.partition, batch.records);
      return pokes;
    });
  }
}
