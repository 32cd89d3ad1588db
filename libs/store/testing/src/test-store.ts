import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { inject } from 'vitest';
import type { LogEvent } from '#libs/protocol';
import type { Database, Dialect } from '#libs/sql';
import { openPostgres, openSqlite, raw, sql } from '#libs/sql';
import { Projection } from '../../src/projection/projection.js';
import { storeEntities } from '../../src/entities/index.js';
import { storeMigrations } from '../../src/migrations/index.js';

export const DIALECTS: readonly Dialect[] = ['sqlite', 'postgres'];

const schema = { entities: storeEntities, migrations: storeMigrations };
const TABLES = ['sessions', 'turns', 'claims', 'processes', 'live_sessions', 'exports'] as const;
type Table = (typeof TABLES)[number];

/** A database of its own with the store's tables. */
export interface TestStore {
  readonly database: Database;
  /** Folds events as the projector does: one transaction. */
  fold(...events: readonly LogEvent[]): ReturnType<Projection['apply']>;
  /** All rows of a table, in a fixed order. */
  rows(table: Table): Promise<readonly Record<string, unknown>[]>;
  /** Empties these tables, or all. */
  clear(...tables: readonly Table[]): Promise<void>;
  close(): Promise<void>;
}

export async function openTestStore(dialect: Dialect): Promise<TestStore> {
  const { database, remove } = dialect === 'sqlite' ? await sqlite() : await postgres();
  const projection = new Projection();
  return {
    database,
    fold: (...events) => database.write((transaction) => projection.apply(transaction, 0, events)),
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
    close: async () => {
      await database.close();
      await remove();
    },
  };
}

async function sqlite() {
  const directory = await mkdtemp(join(tmpdir(), 'store-'));
  const database = await openSqlite({ ...schema, file: join(directory, 'store.sqlite') });
  return { database, remove: () => rm(directory, { recursive: true, force: true }) };
}

async function postgres() {
  const name = `store_${randomUUID().replaceAll('-', '')}`;
  await asAdministrator(`CREATE DATABASE ${name}`);
  const url = new URL(inject('SBP_TEST_POSTGRES_URL'));
  url.pathname = `/${name}`;
  const database = await openPostgres({ ...schema, url: url.href });
  await database.migrate();
  return { database, remove: () => asAdministrator(`DROP DATABASE ${name} WITH (FORCE)`) };
}

async function asAdministrator(statement: string): Promise<void> {
  const client = new Client({ connectionString: inject('SBP_TEST_POSTGRES_URL') });
  await client.connect();
  await client.query(statement);
  await client.end();
}
