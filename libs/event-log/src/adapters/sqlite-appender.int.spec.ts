import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EntityManager } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { DatabaseCounts } from '#libs/sql';
import { Database, openSqlite, sql } from '#libs/sql';
import { LogOverloaded, MAX_PENDING_BYTES } from '../ports/event-log.js';
import { eventLogEntities, eventLogMigrations } from '../schema.js';
import type { RowToAppend } from './sqlite-appender.js';
import { SqliteAppender } from './sqlite-appender.js';

/** A database whose disk is full at times. */
class FullDisk extends Database {
  readonly dialect = 'sqlite';
  readonly nowMs: string;
  refusals = 0;
  refused = 0;

  constructor(private readonly database: Database) {
    super();
    this.nowMs = database.nowMs;
  }
  read<T>(work: (reader: EntityManager) => Promise<T>): Promise<T> {
    return this.database.read(work);
  }
  write<T>(work: (transaction: EntityManager) => Promise<T>): Promise<T> {
    return this.database.write(async (transaction) => {
      const result = await work(transaction);
      if (this.refused < this.refusals) {
        this.refused += 1;
        throw new Error('database or disk is full');
      }
      return result;
    });
  }
  counts(): DatabaseCounts {
    return this.database.counts();
  }
  migrate(): Promise<void> {
    return this.database.migrate();
  }
  dropAll(keepTables: readonly string[]): Promise<void> {
    return this.database.dropAll(keepTables);
  }
  close(): Promise<void> {
    return this.database.close();
  }
}

describe('SqliteAppender', () => {
  let directory: string;
  let database: FullDisk;
  let commits: number;
  let appender: SqliteAppender;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sqlite-appender-'));
    const schema = {
      entities: eventLogEntities('sqlite'),
      migrations: eventLogMigrations('sqlite'),
    };
    database = new FullDisk(await openSqlite({ ...schema, file: join(directory, 'sbp.sqlite') }));
    commits = 0;
    appender = new SqliteAppender(database, () => (commits += 1));
  });
  afterEach(async () => {
    await appender.close();
    await database.close();
    await rm(directory, { recursive: true, force: true });
  });

  const row = (eventId: string): RowToAppend => ({ sessionId: 's', eventId, body: '{}' });

  async function written(): Promise<string[]> {
    const { rows } = await database.read(
      (reader) =>
        sql(reader)<{ event_id: string }>`SELECT event_id FROM log_records ORDER BY "offset"`,
    );
    return rows.map(({ event_id }) => event_id);
  }

  it('makes a refused write again before anything newer, and once', async () => {
    database.refusals = 2;
    const first = appender.append([row('a'), row('b')], 2);
    const later = first.then(() => appender.append([row('d')], 2));
    const second = appender.append([row('c')], 2);
    const offsets = await Promise.all([first, second, later]);
    expect(database.refused).toBe(2);
    expect(await written()).toEqual(['a', 'b', 'c', 'd']);
    expect(offsets).toEqual([2, 3, 4]);
  });

  it('says why the last write failed, until one succeeds', async () => {
    database.refusals = 1;
    expect(appender.failure).toBeNull();
    const appended = appender.append([row('a')], 1);
    await vi.waitFor(() => expect(appender.failure?.message).toContain('full'));
    await appended;
    expect(appender.failure).toBeNull();
  });

  it('writes what waits in one transaction', async () => {
    await Promise.all(['a', 'b', 'c'].map((id) => appender.append([row(id)], 2)));
    expect(commits).toBe(1);
  });

  it('refuses what would be too much to wait, and takes it when there is room', async () => {
    const first = appender.append([row('a')], MAX_PENDING_BYTES);
    await expect(appender.append([row('b')], 1)).rejects.toThrow(LogOverloaded);
    await first;
    await appender.append([row('b')], 1);
    expect(await written()).toEqual(['a', 'b']);
  });

  it('rejects, once closed, what it could not write, and everything new', async () => {
    database.refusals = Number.POSITIVE_INFINITY;
    const first = appender.append([row('a')], 1);
    const outcome = expect(first).rejects.toThrow('disk is full');
    await appender.close({ waitMs: 0 });
    await outcome;
    await expect(appender.append([row('b')], 1)).rejects.toThrow('closed');
    expect(await written()).toEqual([]);
  });
});
