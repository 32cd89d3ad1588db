import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  ATTACH,
  id,
  instant,
  sessionOpened,
  surfaceAcknowledged,
  surfaceAttached,
  surfaceDetached,
  turnCompleted,
  turnStarted,
} from '#libs/domain/testing';
import type { LogEvent } from '#libs/protocol';
import { raw, sql } from '#libs/sql';
import { DIALECTS, costOf, idleSession, plansOf, randomBatches } from '#libs/store/testing';
import type { TestDatabase } from '#libs/sql/testing';
import { openTestDatabase } from '#libs/sql/testing';
import { analyticsSchema } from '../tables.js';
import { UsageReads } from '../usage/usage-reads.js';
import { countEvent } from './count-event.js';
import { UsageFold } from './usage-fold.js';

const TABLES = ['usage_counters', 'usage_sessions', 'usage_waiting'] as const;
const HOUR = 3_600_000;
const MOBILE = { context: { device_type: 'mobile' } };

/** A session whose turns wait in the Tether, an hour apart, until they are read an hour later. */
function awayFor(turns: number): readonly LogEvent[] {
  const at = (hours: number) => ({ at: instant(hours * HOUR) });
  return [
    sessionOpened(5),
    surfaceAttached(ATTACH, MOBILE),
    surfaceDetached(ATTACH),
    ...Array.from({ length: turns }, (_, index) => {
      const told = { turn: id(0x700 + index), after: index, ...at(index) };
      return [turnStarted(10 + index, told), turnCompleted(10 + index, told)];
    }).flat(),
    surfaceAttached(id(0xa0009), { ...MOBILE, ...at(turns) }),
    surfaceAcknowledged(turns, id(0xa0009), at(turns)),
  ];
}

describe.each(DIALECTS)('usage on %s', (dialect) => {
  let storage: TestDatabase;
  const fold = new UsageFold();

  beforeAll(async () => {
    storage = await openTestDatabase(dialect, analyticsSchema);
  });
  afterAll(() => storage.close());
  beforeEach(clear);

  async function clear(): Promise<void> {
    for (const table of TABLES) {
      await storage.database.write((transaction) => sql(transaction)`DELETE FROM ${raw(table)}`);
    }
  }

  async function rows(table: (typeof TABLES)[number]) {
    const found = await storage.database.read(
      (reader) => sql(reader)`SELECT * FROM ${raw(table)} ORDER BY 1, 2`,
    );
    return found.rows.map((row) => JSON.stringify(row)).sort();
  }
  const tables = () => Promise.all(TABLES.map(rows));
  const apply = (events: readonly LogEvent[]) =>
    storage.database.write((transaction) => fold.apply(transaction, events));

  it.each([1, 2, 3])(
    'is the same after a replay, and however the log was cut into batches (%i)',
    async (seed) => {
      const batches = randomBatches(seed);
      for (const batch of batches) await apply(batch);
      const live = await tables();
      expect(live[0]?.length).toBeGreaterThan(20);
      const log = batches.flat();
      for (const size of [log.length, 3]) {
        await clear();
        for (let from = 0; from < log.length; from += size) {
          await apply(log.slice(from, from + size));
        }
        expect(await tables()).toEqual(live);
      }
    },
  );

  it.each([1, 7, 200])('has how long turns have waited, in batches of %i', async (size) => {
    const log = awayFor(3);
    for (let from = 0; from < log.length; from += size) await apply(log.slice(from, from + size));
    const day = instant(0).slice(0, 10);
    const answer = await new UsageReads(storage.database).usage({
      from: day,
      to: day,
      groupBy: ['principal', 'agent'],
    });
    expect(answer).toMatchObject({
      rows: [
        {
          turns: { completed: 3 },
          attaches: 2,
          cost_usd: 0.75,
          tether: {
            waited: 3,
            wait_ms: { count: 3, sum: 6 * HOUR, max: 3 * HOUR, p50: 3 * HOUR, p95: 3 * HOUR },
          },
        },
      ],
    });
    expect(await rows('usage_waiting')).toEqual([]);
  });

  it('goes on behind an event that it cannot fold, and counts the others', async () => {
    const [broken] = idleSession(1);
    const careful = new UsageFold((session, event) => {
      if (event.id === broken?.id) throw new Error('no such case');
      return countEvent(session, event);
    });
    const log = [...(broken === undefined ? [] : [broken]), ...idleSession(2)];
    await storage.database.write((transaction) => careful.apply(transaction, log));
    const day = instant(0).slice(0, 10);
    const days = { from: day, to: day, groupBy: ['day'] } as const;
    expect(await new UsageReads(storage.database).usage(days)).toMatchObject({
      rows: [{ turns: { completed: 1 } }],
    });
  });

  it('takes a constant number of statements, however many events a batch has [A11]', async () => {
    const events = (first: number, count: number) =>
      Array.from({ length: count }, (_, at) => idleSession(first + at)).flat();
    const few = await costOf(storage.database, () => apply(events(1, 1)));
    const many = await costOf(storage.database, () => apply(events(10, 40)));
    expect(many.statements).toBe(few.statements);
    // BEGIN and COMMIT; one read; sessions, waiting turns, counters; what was acknowledged.
    expect(many.statements).toBeLessThanOrEqual(2 + 1 + 3 + 2);
  });

  it('is counted from several partitions at once', async () => {
    const one = Array.from({ length: 20 }, (_, at) => idleSession(100 + at)).flat();
    const other = Array.from({ length: 20 }, (_, at) => idleSession(200 + at)).flat();
    await Promise.all([apply(one), apply(other), apply(idleSession(300))]);
    const day = instant(0).slice(0, 10);
    const answer = await new UsageReads(storage.database).usage({
      ...{ from: day, to: day },
      groupBy: ['day'],
    });
    expect(answer).toMatchObject({ rows: [{ day, turns: { completed: 41 } }] });
  });

  it('acknowledges by an index, also beside many turns that wait', async () => {
    await storage.database.write(
      (transaction) => sql(transaction)`
        INSERT INTO usage_waiting
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
        SELECT 'session ' || (i / 10), i, '', '', 0 FROM n`,
    );
    await storage.database.write((transaction) => sql(transaction)`ANALYZE`);
    const log = awayFor(2);
    await apply(log.slice(0, -1));
    const plans = await plansOf(storage.database, (database) =>
      database.write((transaction) => fold.apply(transaction, log.slice(-1))),
    );
    const scans = plans.filter(({ table, isSearch }) => table.startsWith('usage') && !isSearch);
    expect(scans.map(({ plan }) => plan)).toEqual([]);
    expect(plans.filter(({ table }) => table === 'usage_waiting').length).toBeGreaterThan(1);
  });

  it('has tables that are, after the migrations, what the entities say', async () => {
    const pending = await storage.database.write(async ({ dataSource }) => {
      const { upQueries } = await dataSource.driver.createSchemaBuilder().log();
      return upQueries.map(({ query }) => query);
    });
    expect(pending).toEqual([]);
  });

  it('is refused where it has more rows than an answer may have, before they are read', async () => {
    await storage.database.write(
      (transaction) => sql(transaction)`
        INSERT INTO usage_counters
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10001)
        SELECT '2026-05-10', 'p', 'agent ' || i, '', '', 'turns.completed', 1 FROM n`,
    );
    const reads = new UsageReads(storage.database);
    const days = { from: '2026-05-10', to: '2026-05-10' };
    expect(await reads.usage({ ...days, groupBy: ['agent'] })).toEqual({ type: 'too_many' });
    expect(await reads.usage({ ...days, groupBy: ['day'] })).toMatchObject({
      rows: [{ day: '2026-05-10', turns: { completed: 10_001 } }],
    });
  });
});
