import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { LogEvent } from '#libs/protocol';
import type { Move } from '#libs/domain/testing';
import { fold, id, randomLog } from '#libs/domain/testing';
import { initialState } from '#libs/domain';
import type { Dialect } from '#libs/sql';
import { DIALECTS, move, openTestStore, randomBatches, tablesOf } from '#libs/store/testing';
import type { TestStore } from '#libs/store/testing';
import { SessionReads } from '../reads/session-reads.js';
import { Transcripts } from '../reads/transcripts.js';

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

  it.each(DIALECTS)(
    'into dropped tables gives the same rows, in other batches too, on %s',
    async (dialect) => {
      const store = of(dialect);
      for (const seed of [1, 2, 3]) {
        await store.clear();
        const log = randomBatches(seed);
        for (const batch of log) await store.fold(...batch);
        const before = await tablesOf(store);
        expect((before['turns'] as unknown[]).length).toBeGreaterThan(10);

        await store.database.dropAll([]);
        await store.database.migrate();
        expect(await store.rows('sessions')).toEqual([]);
        await store.fold(...log.flat());
        expect(await tablesOf(store)).toEqual(before);
      }
    },
  );

  it.each(DIALECTS)(
    'gives the same rows wherever it is cut into batches, on %s',
    async (dialect) => {
      const store = of(dialect);
      const logs = fc.tuple(
        fc.array(move, { minLength: 20, maxLength: 50, size: 'max' }),
        fc.array(move, { minLength: 5, maxLength: 20, size: 'max' }),
      );
      const cuts = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 60, maxLength: 60 });
      const check = async (
        [moves, others]: readonly [readonly Move[], readonly Move[]],
        sizes: readonly number[],
      ) => {
        const log = shuffled([randomLog(moves, 1), randomLog(others, 2)]);
        await store.clear();
        for (const event of log) await store.fold(event);
        const oneByOne = await tablesOf(store);
        await store.clear();
        let from = 0;
        for (const size of [...sizes, log.length]) {
          await store.fold(...log.slice(from, from + size));
          from += size;
        }
        expect(await tablesOf(store)).toEqual(oneByOne);
      };
      await fc.assert(fc.asyncProperty(logs, cuts, check), {
        numRuns: dialect === 'sqlite' ? 40 : 12,
      });
    },
  );

  it('gives the same rows on both dialects', async () => {
    const log = randomBatches(4);
    for (const dialect of DIALECTS) for (const batch of log) await of(dialect).fold(...batch);
    expect(await tablesOf(of('postgres'))).toEqual(await tablesOf(of('sqlite')));
  });

  it.each(DIALECTS)(
    'stores what the domain says, and transcripts as long as it counts, on %s',
    async (dialect) => {
      const store = of(dialect);
      const log = randomBatches(5);
      for (const batch of log) await store.fold(...batch);
      const reads = new SessionReads(store.database);
      for (const session of new Set(log.flat().map(({ session_id }) => session_id))) {
        const { state } = fold(log.flat().filter(({ session_id }) => session_id === session));
        expect(await reads.state(session)).toEqual(state);
        if (state.phase === 'unopened') continue;
        const transcript = await new Transcripts(store.database).load(session, state);
        expect(transcript.count).toBe(state.messages);
      }
      expect(await reads.state(id(9))).toBe(initialState);
    },
  );
});

/** One event of each in turn, as they may stand in one partition. */
function shuffled(logs: readonly (readonly LogEvent[])[]): readonly LogEvent[] {
  const longest = Math.max(...logs.map((log) => log.length));
  return Array.from({ length: longest }, (_, at) =>
    logs.flatMap((log) => log.slice(at, at + 1)),
  ).flat();
}
