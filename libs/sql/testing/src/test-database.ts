import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { inject } from 'vitest';
import type { Database, Dialect, Schema } from '../../src/index.js';
import { openPostgres, openSqlite } from '../../src/index.js';

/** A database of its own with a schema, migrated. */
export interface TestDatabase {
  readonly database: Database;
  /** Closes it, and leaves nothing of it. */
  readonly close: () => Promise<void>;
}

export async function openTestDatabase(dialect: Dialect, schema: Schema): Promise<TestDatabase> {
  const { database, remove } = dialect === 'sqlite' ? await sqlite(schema) : await postgres(schema);
  return {
    database,
    close: async () => {
      await database.close();
      await remove();
    },
  };
}

async function sqlite(schema: Schema) {
  const directory = await mkdtemp(join(tmpdir(), 'test-database-'));
  const database = await openSqlite({ ...schema, file: join(directory, 'test.sqlite') });
  return { database, remove: () => rm(directory, { recursive: true, force: true }) };
}

async function postgres(schema: Schema) {
  const { url, remove } = await newDatabase();
  const database = await openPostgres({ ...schema, url });
  await database.migrate();
  return { database, remove };
}

/** An empty Postgres database of the test's own. */
export async function newDatabase() {
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  await asAdministrator(`CREATE DATABASE ${name}`);
  const url = new URL(inject('SBP_TEST_POSTGRES_URL'));
  url.pathname = `/${name}`;
  const remove = () => asAdministrator(`DROP DATABASE ${name} WITH (FORCE)`);
  return { name, url: url.href, remove };
}

export async function asAdministrator(statement: string): Promise<void> {
  const client = new Client({ connectionString: inject('SBP_TEST_POSTGRES_URL') });
  await client.connect();
  await client.query(statement);
  await client.end();
}
