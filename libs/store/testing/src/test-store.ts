import type { EntityManager } from 'typeorm';
import type { LogEvent } from '#libs/protocol';
import type { Database, DatabaseCounts, Dialect } from '#libs/sql';
import { raw, sql } from '#libs/sql';
import { openTestDatabase } from '#libs/sql/testing';
import type { Applied } from '../../src/projection/projection.js';
import { PROJECTOR, Projection } from '../../src/projection/projection.js';
import { storeEntities } from '../../src/entities/index.js';
import { storeMigrations } from '../../src/migrations/index.js';
import type { FoldRecord } from '../../src/projection/record-fold.js';
import { recordsOf } from './records.js';
import { CreatePositions1780000000002, PositionRow } from './consumer-positions.js';

export const DIALECTS: readonly Dialect[] = ['sqlite', 'postgres'];

const schema = {
  entities: [...storeEntities, PositionRow],
  migrations: [CreatePositions1780000000002, ...storeMigrations],
};
const TABLES = [
  'sessions',
  'turns',
  'claims',
  'processes',
  'live_sessions',
  'exports',
  'tool_rounds',
  'tool_calls',
  'surface_tools',
  'session_origins',
  'promised_sessions',
  'turn_keys',
  'quarantined_sessions',
  'quarantined_events',
  'skipped_events',
  'consumer_positions',
] as const;
export type Table = (typeof TABLES)[number];

/** The partition of the log that all sessions of a test store are in. */
const PARTITION = 0;

/** A database of its own with the store's tables. */
export interface TestStore {
  readonly database: Database;
  /** Folds events as the projector does: one transaction, and the position moves on with them. */
  fold(...events: readonly LogEvent[]): Promise<Applied['pokes']>;
  /**
   * Applies records as the projector does, by a projection of any version; the position moves to
   * behind the last.
   */
  apply(records: readonly FoldRecord[], projection?: Projection): Promise<Applied>;
  /** Moves the fold's position, as records that no session is changed by would. */
  foldedTo(next: number): Promise<void>;
  /** All rows of a table, in a fixed order. */
  rows(table: Table): Promise<readonly Record<string, unknown>[]>;
  /** Empties these tables, or all. */
  clear(...tables: readonly Table[]): Promise<void>;
  /** The database's clock, in ms since 1970. */
  now(): Promise<number>;
  close(): Promise<void>;
}

export async function openTestStore(dialect: Dialect): Promise<TestStore> {
  const { database, close } = await openTestDatabase(dialect, schema);
  const projection = new Projection();
  return {
    database,
    fold: (...events) =>
      database.write(async (transaction) => {
        const { pokes } = await projection.apply(transaction, PARTITION, recordsOf(events));
        await sql(transaction)`
          INSERT INTO consumer_positions (consumer, "partition", next_offset)
          VALUES (${PROJECTOR}, ${PARTITION}, ${events.length})
          ON CONFLICT (consumer, "partition") DO UPDATE
            SET next_offset = consumer_positions.next_offset + excluded.next_offset`;
        return pokes;
      }),
    apply: (records, by = projection) =>
      database.write(async (transaction) => {
        const next = (records.at(-1)?.position.offset ?? -1) + 1;
        await moveTo(transaction, next);
        return by.apply(transaction, PARTITION, records);
      }),
    foldedTo: async (next) => {
      await database.write((transaction) => moveTo(transaction, next));
    },
    rows: async (table) => {
      const { rows } = await database.read(
        (reader) => sql(reader)`SELECT * FROM ${raw(table)} ORDER BY 1, 2`,
      );
      return rows;
    },
    clear: async (...tables) => {
      for (const table of tables.length === 0 ? TABLES : tables) {
        await database.write((transaction) => sql(transaction)`DELETE FROM ${raw(table)}`);
      }
    },
    now: async () => {
      const { rows } = await database.read(
        (reader) => sql(reader)<{ now: number }>`SELECT ${raw(database.nowMs)} AS now`,
      );
      return rows[0]?.now ?? Number.NaN;
    },
    close,
  };
}

async function moveTo(transaction: EntityManager, next: number): Promise<void> {
  await sql(transaction)`
    INSERT INTO consumer_positions (consumer, "partition", next_offset)
    VALUES (${PROJECTOR}, ${PARTITION}, ${next})
    ON CONFLICT (consumer, "partition") DO UPDATE SET next_offset = excluded.next_offset`;
}

/** What a piece of work cost the database. */
export async function costOf(
  database: Database,
  work: () => Promise<unknown>,
): Promise<DatabaseCounts> {
  const before = database.counts();
  await work();
  const after = database.counts();
  return {
    statements: after.statements - before.statements,
    roundTrips: after.roundTrips - before.roundTrips,
    durableCommits: after.durableCommits - before.durableCommits,
    relaxedCommits: after.relaxedCommits - before.relaxedCommits,
  };
}
