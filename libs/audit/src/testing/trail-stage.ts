import type { Append, LogBatch, LogRecord } from '#libs/event-log';
import {
  ConsumerPositions,
  SqliteEventLog,
  eventLogEntities,
  eventLogMigrations,
} from '#libs/event-log';
import type { Database, Dialect } from '#libs/sql';
import { raw, sql } from '#libs/sql';
import type { TestDatabase } from '#libs/sql/testing';
import { openTestDatabase } from '#libs/sql/testing';
import { auditSchema } from '../tables.js';
import { Seals } from '../trail/seals.js';
import type { CheckpointRule } from '../trail/trail.js';
import { AUDIT, Trail } from '../trail/trail.js';
import { TrailReads } from '../trail/trail-reads.js';
import type { Verdict } from '../verify/verification.js';
import { verifyTrail } from '../verify/verification.js';

const SECRET = Buffer.from('the secret of the trail');
type Table = 'audit_records' | 'audit_heads' | 'audit_checkpoints' | 'consumer_positions';

/** A log, and the trail of it in a database of its own. */
export class TrailStage {
  readonly seals = new Seals(SECRET);
  readonly reads: TrailReads;
  /** In ms, for checkpoints. */
  now = 1_800_000_000_000;
  private readonly positions: ConsumerPositions;

  private constructor(
    private readonly storage: TestDatabase,
    private readonly logStorage: TestDatabase,
    public log: SqliteEventLog,
  ) {
    this.reads = new TrailReads(this.database);
    this.positions = new ConsumerPositions(this.database);
  }

  static async open(dialect: Dialect): Promise<TrailStage> {
    const logStorage = await openTestDatabase('sqlite', {
      entities: eventLogEntities('sqlite'),
      migrations: eventLogMigrations('sqlite'),
    });
    const storage = await openTestDatabase(dialect, {
      entities: [...eventLogEntities(dialect), ...auditSchema.entities],
      migrations: [...eventLogMigrations(dialect), ...auditSchema.migrations],
    });
    return new TrailStage(storage, logStorage, new SqliteEventLog(logStorage.database));
  }

  get database(): Database {
    return this.storage.database;
  }

  get logDatabase(): Database {
    return this.logStorage.database;
  }

  async close(): Promise<void> {
    await this.log.close();
    await this.logStorage.close();
    await this.storage.close();
  }

  /** The log as another process opens it: with nothing in memory. */
  async forgetTail(): Promise<void> {
    await this.log.close();
    this.log = new SqliteEventLog(this.logStorage.database);
  }

  /** Appends each event by itself; gives the offset of the last. */
  async append(...events: Append): Promise<number> {
    let last = 0;
    for (const event of events) {
      const outcome = await this.log.append([event]);
      if (outcome.type !== 'appended') throw new Error(outcome.detail);
      last = outcome.position.offset;
    }
    return last;
  }

  /** Does what the consumer does with what it has not read, in batches of this size. */
  async catchUp(size = 200, rule?: CheckpointRule): Promise<void> {
    const trail = new Trail(this.seals, rule, () => this.now);
    let from = await this.positions.load(AUDIT, 0);
    const records: LogRecord[] = [];
    for await (const batch of this.log.read(0, from)) records.push(...batch);
    for (let at = 0; at < records.length; at += size) {
      const some = records.slice(at, at + size);
      const next = (some.at(-1)?.position.offset ?? from) + 1;
      await this.take(trail, {
        consumer: AUDIT,
        partition: 0,
        from,
        next,
        records: some,
        live: true,
      });
      from = next;
    }
  }

  async take(trail: Trail, batch: LogBatch): Promise<void> {
    await this.database.write(async (transaction) => {
      if (!(await this.positions.advance(transaction, batch))) throw new Error('stale');
      await trail.append(transaction, batch);
    });
  }

  verify(fromLog = false, seals = this.seals): Promise<Verdict> {
    const { log, positions, reads } = this;
    return verifyTrail({ log, positions, reads, seals }, { fromLog });
  }

  async rows(table: Table): Promise<readonly Record<string, unknown>[]> {
    const { rows } = await this.database.read(
      (reader) => sql(reader)`SELECT * FROM ${raw(table)} ORDER BY 1, 2`,
    );
    return rows;
  }

  /** Somebody who can write to the database, but has no secret. */
  async tamper(statement: string): Promise<void> {
    const { affected } = await this.database.write(
      (transaction) => sql(transaction)`${raw(statement)}`,
    );
    if (affected === 0) throw new Error('nothing was tampered with');
  }

  async clear(...tables: readonly Table[]): Promise<void> {
    for (const table of tables) {
      await this.database.write((transaction) => sql(transaction)`DELETE FROM ${raw(table)}`);
    }
  }
}
