import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { LogEvent } from '#libs/protocol';
import type { Database, DatabaseCounts } from '#libs/sql';
import { StorageFault, openSqlite, sql } from '#libs/sql';
import type { LogBatch, LogRecord } from '../ports/event-log.js';
import { eventLogEntities, eventLogMigrations } from '../schema.js';
import { SqliteEventLog } from './sqlite-event-log.js';

const MIB = 1024 * 1024;

describe('the embedded log', () => {
  let directory: string;
  let database: Database;
  let log: SqliteEventLog;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sqlite-log-costs-'));
    await open();
  });
  afterEach(async () => {
    await close();
    await rm(directory, { recursive: true, force: true });
  });

  async function open(): Promise<void> {
    database = await openSqlite({
      file: join(directory, 'sbp.sqlite'),
      entities: eventLogEntities('sqlite'),
      migrations: eventLogMigrations('sqlite'),
    });
    log = new SqliteEventLog(database);
  }

  async function close(): Promise<void> {
    await log.close();
    await database.close();
  }

  async function append(...events: readonly LogEvent[]): Promise<number> {
    const outcome = await log.append(events as [LogEvent]);
    if (outcome.type !== 'appended') throw new Error(outcome.detail);
    return outcome.position.offset;
  }

  async function costOf(work: () => Promise<unknown>): Promise<Partial<DatabaseCounts>> {
    const before = database.counts();
    await work();
    const after = database.counts();
    return {
      statements: after.statements - before.statements,
      durableCommits: after.durableCommits - before.durableCommits,
      relaxedCommits: after.relaxedCommits - before.relaxedCommits,
    };
  }

  async function readAll(from = 0): Promise<LogRecord[][]> {
    const batches: LogRecord[][] = [];
    for await (const batch of log.read(0, from)) batches.push([...batch]);
    return batches;
  }

  /** Limits the file's size: SQLite then fails as it does on a full disk. */
  async function limitFile(pages: 'none' | 'as it is'): Promise<void> {
    await database.write(async (writer) => {
      const { rows } = await sql(writer)<{ page_count: number }>`PRAGMA page_count`;
      const most = pages === 'none' ? 1_000_000 : (rows[0]?.page_count ?? 0);
      await writer.query(`PRAGMA max_page_count = ${most}`);
    });
  }

  it('writes all appends that wait by one statement and one sync', async () => {
    const one = { statements: 1, durableCommits: 1, relaxedCommits: 0 };
    expect(await costOf(() => append(fact(), fact(), fact()))).toEqual(one);
    const many = Array.from({ length: 50 }, () => [fact(), fact()] as const);
    const offsets: number[] = [];
    const cost = await costOf(async () => {
      offsets.push(...(await Promise.all(many.map((events) => append(...events)))));
    });
    expect(cost).toEqual(one);
    expect(offsets).toEqual(many.map((_, index) => 5 + 2 * index));
    const records = (await readAll(4)).flat();
    expect(records.map(({ event }) => event)).toEqual(many.flat());
  });

  it('writes an append of more events than a statement takes in one transaction', async () => {
    const events = Array.from({ length: 2_500 }, () => fact());
    const cost = await costOf(async () => {
      expect(await append(...events)).toBe(2_500);
    });
    expect(cost).toMatchObject({ statements: 5, durableCommits: 1 });
    await close();
    await open();
    expect((await readAll()).flat().map(({ event }) => event)).toEqual(events);
  });

  it('asks for its end once', async () => {
    expect(await costOf(() => log.end(0))).toMatchObject({ statements: 1 });
    await append(fact());
    expect(await costOf(async () => expect(await log.end(0)).toBe(2))).toMatchObject({
      statements: 0,
    });
  });

  it('hands a reader at the end what is appended without a statement', async () => {
    const batches: LogBatch[] = [];
    const asked = vi.fn();
    const subscription = await log.subscribe({
      consumer: 'c',
      batchSize: 10,
      position: async () => {
        asked();
        return Promise.resolve(0);
      },
      handle: (batch) => {
        batches.push(batch);
        return Promise.resolve('done');
      },
      onProblem: (problem, error) => {
        throw new Error(problem, { cause: error });
      },
    });
    await vi.waitFor(() => expect(asked).toHaveBeenCalled());
    await append(fact());
    await vi.waitFor(() => expect(batches).toHaveLength(1));
    const events = [fact(), fact()];
    const cost = await costOf(async () => {
      for (const event of events) await append(event);
      await vi.waitFor(() => expect(batches.at(-1)?.next).toBe(4));
    });
    expect(cost).toEqual({ statements: 2, durableCommits: 2, relaxedCommits: 0 });
    expect(batches.flatMap(({ records }) => records.map(({ event }) => event)).slice(1)).toEqual(
      events,
    );
    expect(batches.at(-1)?.live).toBe(true);
    await subscription.close();
  });

  it.each(['from memory', 'from the file'])(
    'reads %s in batches that are bounded in bytes',
    async (where) => {
      const bodies = [fact(1.5 * MIB), fact(1.5 * MIB), fact(1.5 * MIB), fact(MIB), fact()];
      for (const event of bodies) await append(event);
      // What is kept in memory begins at some later record.
      const from = where === 'from memory' ? 3 : 1;
      if (where === 'from the file') {
        await close();
        await open();
        await log.end(0);
      }
      let batches: LogRecord[][] = [];
      const cost = await costOf(async () => {
        batches = await readAll(from);
      });
      expect(batches.flat().map(({ position }) => position.offset)).toEqual(
        [1, 2, 3, 4, 5].filter((offset) => offset >= from),
      );
      expect(batches.map(({ length }) => length)).toEqual(from === 1 ? [3, 2] : [3]);
      expect(cost.statements).toBe(from === 1 ? 2 : 0);
    },
  );

  it('cannot be reached while the disk is full, and can be when there is room again', async () => {
    await append(fact());
    await log.check();
    await limitFile('as it is');
    const event = fact(2 * MIB);
    const appended = append(event);
    await vi.waitFor(async () => {
      await expect(log.check()).rejects.toMatchObject({ kind: 'full', code: 'SQLITE_FULL' });
      await expect(log.check()).rejects.toBeInstanceOf(StorageFault);
    });
    expect((await readAll()).flat()).toHaveLength(1);
    await limitFile('none');
    await appended;
    await log.check();
    expect((await readAll()).flat().map((record) => record.event?.id)).toContain(event.id);
  });
});

function fact(bytes = 1): LogEvent {
  return {
    id: randomUUID(),
    type: 'session.opened',
    schema: 1,
    session_id: randomUUID(),
    epoch: 1,
    occurred_at: '2026-05-10T15:05:00.000Z',
    by: { principal: null, via: 'system' },
    data: { principal: 'p'.repeat(bytes), agent_id: 'a' },
  };
}
