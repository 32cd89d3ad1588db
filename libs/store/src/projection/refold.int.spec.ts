import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { LogEvent } from '#libs/protocol';
import type { Move } from '#libs/domain/testing';
import { fold, id, randomLog } from '#libs/domain/testing';
import { initialState } from '#libs/domain';
import type { Dialect } from '#libs/sql';
import { DIALECTS, openTestStore } from '#libs/store/testing';
import type { TestStore } from '#libs/store/testing';
import { SessionReads } from '../reads/session-reads.js';

const often = <T>(weight: number, arbitrary: fc.Arbitrary<T>) => ({ weight, arbitrary });

const move: fc.Arbitrary<Move> = fc.oneof(
  often(
    4,
    fc.record({
      type: fc.constant('start' as const),
      stale: fc.constantFrom(false, false, false, true),
      keeps: fc.nat({ max: 8 }),
      messages: fc.nat({ max: 3 }),
      system: fc.boolean(),
    }),
  ),
  often(
    4,
    fc.record({
      type: fc.constant('end' as const),
      how: fc.constantFrom('completed' as const, 'failed' as const, 'cancelled' as const),
      attempt: fc.constantFrom(0, 0, 0, 1),
      caller: fc.constantFrom('connected' as const, 'gone' as const),
      snapshot: fc.boolean(),
    }),
  ),
  often(
    1,
    fc.record({ type: fc.constant('adopt' as const), stale: fc.boolean(), known: fc.boolean() }),
  ),
  often(1, fc.record({ type: fc.constant('undelivered' as const), turn: fc.nat({ max: 4 }) })),
  often(2, fc.record({ type: fc.constant('attach' as const), gateway: fc.nat({ max: 2 }) })),
  often(1, fc.record({ type: fc.constant('detach' as const), attach: fc.nat({ max: 1 }) })),
  often(
    2,
    fc.record({ type: fc.constant('acknowledge' as const), attach: fc.constant(0), seq: fc.nat() }),
  ),
  often(1, fc.record({ type: fc.constant('export' as const) })),
  often(2, fc.record({ type: fc.constant('copy' as const), event: fc.nat() })),
);

/**
 * Sessions whose events lie between one another's, cut into batches, the same for the same seed.
 */
function batches(seed: number): readonly (readonly LogEvent[])[] {
  const sessions = 3;
  const logs = fc.sample(fc.array(move, { minLength: 80, maxLength: 120 }), {
    seed,
    numRuns: sessions,
  });
  const queues = logs.map((moves, index) => [...randomLog(moves, index + 1)]);
  const cuts = fc.sample(fc.nat(), { seed, numRuns: 2_000 });
  const all: LogEvent[][] = [[]];
  for (const cut of cuts) {
    const event = queues[cut % sessions]?.shift();
    if (event !== undefined) all.at(-1)?.push(event);
    if (cut % 7 === 0) all.push([]);
  }
  for (const queue of queues) all.push(queue);
  return all;
}

const READ_MODELS = ['sessions', 'turns', 'live_sessions', 'exports'] as const;

describe('folding the same log again', () => {
  const stores = new Map<Dialect, TestStore>();

  beforeAll(async () => {
    for (const dialect of DIALECTS) stores.set(dialect, await openTestStore(dialect));
  });
  afterAll(async () => {
    for (const store of stores.values()) await store.close();
  });
  beforeEach(async () => {
    for (const store of stores.values()) await store.clear();
  });

  const of = (dialect: Dialect): TestStore => stores.get(dialect) as TestStore;

  async function tables(store: TestStore): Promise<Record<string, unknown>> {
    const entries = await Promise.all(
      READ_MODELS.map(async (table) => [table, (await store.rows(table)).map(readable)] as const),
    );
    return Object.fromEntries(entries);
  }

  it.each(DIALECTS)(
    'into dropped tables gives the same rows, in other batches too, on %s',
    async (dialect) => {
      const store = of(dialect);
      for (const seed of [1, 2, 3]) {
        await store.clear();
        const log = batches(seed);
        for (const batch of log) await store.fold(...batch);
        const before = await tables(store);
        expect((before['turns'] as unknown[]).length).toBeGreaterThan(10);

        await store.database.dropAll([]);
        await store.database.migrate();
        expect(await store.rows('sessions')).toEqual([]);
        await store.fold(...log.flat());
        expect(await tables(store)).toEqual(before);
      }
    },
  );

  it('gives the same rows on both dialects', async () => {
    const log = batches(4);
    for (const dialect of DIALECTS) for (const batch of log) await of(dialect).fold(...batch);
    expect(await tables(of('postgres'))).toEqual(await tables(of('sqlite')));
  });

  it.each(DIALECTS)(
    'stores what the domain says, and transcripts as long as it counts, on %s',
    async (dialect) => {
      const store = of(dialect);
      const log = batches(5);
      for (const batch of log) await store.fold(...batch);
      const reads = new SessionReads(store.database);
      for (const session of new Set(log.flat().map(({ session_id }) => session_id))) {
        const { state } = fold(log.flat().filter(({ session_id }) => session_id === session));
        expect(await reads.state(session)).toEqual(state);
        const { entries, steps } = await reads.transcript(session);
        if (state.phase === 'open')
          expect([entries.length, steps]).toEqual([state.messages, state.steps]);
      }
      expect(await reads.state(id(9))).toBe(initialState);
    },
  );
});

/** A row with its JSON columns read, so that a difference is shown where it is. */
function readable(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name,
      typeof value === 'string' && /^[{[]/.test(value) ? (JSON.parse(value) as unknown) : value,
    ]),
  );
}
