import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import type { Database } from '#libs/sql';
import { openPostgres, openSqlite } from '#libs/sql';
import { SqliteEventLog } from './adapters/sqlite-event-log.js';
import { ConsumerPositions } from './consumer-positions.js';
import { LOG_TABLES, eventLogEntities, eventLogMigrations } from './schema.js';

async function pendingChanges(database: Database): Promise<string[]> {
  return database.write(async ({ dataSource }) => {
    const { upQueries } = await dataSource.driver.createSchemaBuilder().log();
    return upQueries.map(({ query }) => query);
  });
}

describe('schema of the event log', () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'event-log-schema-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  function openEmbedded(): Promise<Database> {
    return openSqlite({
      file: join(directory, 'sbp.sqlite'),
      entities: eventLogEntities('sqlite'),
      migrations: eventLogMigrations('sqlite'),
    });
  }

  it('is, after the migrations, what the entities say, on SQLite', async () => {
    const database = await openEmbedded();
    expect(await pendingChanges(database)).toEqual([]);
    await database.close();
  });

  it('is, after the migrations, what the entities say, on Postgres', async () => {
    const name = `event_log_${randomUUID().replaceAll('-', '')}`;
    const administrator = new Client({ connectionString: inject('SBP_TEST_POSTGRES_URL') });
    await administrator.connect();
    await administrator.query(`CREATE DATABASE ${name}`);
    const url = new URL(inject('SBP_TEST_POSTGRES_URL'));
    url.pathname = `/${name}`;
    const database = await openPostgres({
      url: url.href,
      entities: eventLogEntities('postgres'),
      migrations: eventLogMigrations('postgres'),
    });
    await database.migrate();
    expect(await pendingChanges(database)).toEqual([]);

    const positions = new ConsumerPositions(database);
    const batch = { consumer: 'c', partition: 3, from: 0, next: 2 ** 40, records: [], live: true };
    const advanced = await Promise.all(
      [1, 2].map(() => database.write((transaction) => positions.advance(transaction, batch))),
    );
    expect(advanced.sort()).toEqual([false, true]);
    expect(await positions.load('c', 3)).toBe(2 ** 40);
    expect(await positions.load('c', 4)).toBe(0);

    await database.close();
    await administrator.query(`DROP DATABASE ${name}`);
    await administrator.end();
  });

  it('keeps the log, and no position, through a drop of everything else; offsets go on', async () => {
    const database = await openEmbedded();
    const log = new SqliteEventLog(database);
    const append = async (): Promise<number> => {
      const outcome = await log.append([
        {
          id: randomUUID(),
          type: 'session.opened',
          schema: 1,
          session_id: randomUUID(),
          epoch: 1,
          occurred_at: '2026-05-10T15:05:00.000Z',
          by: { principal: null, via: 'system' },
          data: { principal: 'p', agent_id: 'a' },
        },
      ]);
      return outcome.type === 'appended' ? outcome.position.offset : Number.NaN;
    };
    const first = await append();
    const positions = new ConsumerPositions(database);
    const batch = {
      consumer: 'c',
      partition: 0,
      from: 0,
      next: first + 1,
      records: [],
      live: true,
    };
    await database.write((transaction) => positions.advance(transaction, batch));

    await database.dropAll(LOG_TABLES);
    await database.migrate();
    expect(await positions.load('c', 0)).toBe(0);
    expect(await log.end(0)).toBe(first + 1);
    expect(await append()).toBe(first + 1);
    await log.close();
    await database.close();
  });
});
