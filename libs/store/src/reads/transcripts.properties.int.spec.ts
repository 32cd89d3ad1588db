import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sentMessages } from '#libs/domain';
import type { Dialect } from '#libs/sql';
import { randomLog } from '#libs/domain/testing';
import { DIALECTS, NaiveSession, move, openTestStore } from '#libs/store/testing';
import type { TestStore } from '#libs/store/testing';
import { SessionReads } from './session-reads.js';
import { Transcripts } from './transcripts.js';

const runs: Record<Dialect, number> = { sqlite: 50, postgres: 20 };

describe.each(DIALECTS)('the transcripts of any log on %s', (dialect) => {
  let store: TestStore;
  let sessions = 0;

  beforeAll(async () => {
    store = await openTestStore(dialect);
  });
  afterAll(() => store.close());

  const history = fc.record({
    moves: fc.array(move, { minLength: 40, maxLength: 80, size: 'max' }),
    /** How many events each batch has. */
    batches: fc.infiniteStream(fc.integer({ min: 1, max: 6 })),
    /** Whether the conversation is read after a batch. */
    reads: fc.infiniteStream(fc.boolean()),
    pages: fc.array(fc.tuple(fc.nat({ max: 40 }), fc.integer({ min: 1, max: 9 })), {
      minLength: 3,
      maxLength: 5,
    }),
    cacheBytes: fc.constantFrom(undefined, undefined, 400),
  });

  it('are those of a reader who applies every turn to the whole', async () => {
    // What the properties are worth: how many of the logs had turns that were cut out.
    let edited = 0;
    await fc.assert(
      fc.asyncProperty(history, async ({ moves, batches, reads, pages, cacheBytes }) => {
        sessions += 1;
        const log = randomLog(moves, sessions);
        const [first] = log;
        if (first === undefined) return;
        const sessionId = first.session_id;
        const warm = new Transcripts(store.database, cacheBytes);
        const naive = new NaiveSession();

        for (let from = 0; from < log.length;) {
          const size = batches.next().value as number;
          const batch = log.slice(from, from + size);
          from += size;
          await store.fold(...batch);
          for (const event of batch) naive.add(event);
          const isRead = reads.next().value === true || from >= log.length;
          if (isRead) await compare(sessionId, naive, warm, pages);
        }
        if (await wasEdited(sessionId)) edited += 1;
      }),
      { numRuns: runs[dialect] },
    );
    expect(edited).toBeGreaterThan(runs[dialect] / 4);
  });

  async function compare(
    sessionId: string,
    naive: NaiveSession,
    warm: Transcripts,
    pages: readonly (readonly [number, number])[],
  ): Promise<void> {
    const state = await new SessionReads(store.database).state(sessionId);
    expect(state).toEqual(naive.state);
    if (state.phase === 'unopened') return;
    const { entries, system } = naive.transcript;
    const messages = entries.map(({ message }) => message);
    const texts = messages.map((message) => JSON.stringify(message));
    const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
    const cold = new Transcripts(store.database);

    for (const transcripts of [warm, cold, warm]) {
      const transcript = await transcripts.load(sessionId, state);
      expect(transcript.messages()).toEqual(messages);
      const { count } = transcript;
      expect([count, transcript.bytes]).toEqual([messages.length, bytes]);
      for (const kept of [0, 1, Math.floor(count / 2), count]) {
        // An edit may cut a round, and a model is sent no call without its answer.
        // Nor is it sent, where it stands, what only tells where the conversation comes from.
        const told = entries.slice(0, kept).filter(({ isNote }) => isNote !== true);
        const said = told.map(({ message }) => message);
        const { sent } = sentMessages(said, said.length);
        const whole = sent.map((each) =>
          JSON.stringify(typeof each === 'number' ? said[each] : each),
        );
        expect(transcript.sent(kept, []).map(String).join(',')).toBe(whole.join(','));
        const size = texts.slice(0, kept).reduce((sum, text) => sum + Buffer.byteLength(text), 0);
        expect(transcript.bytesOf(kept)).toBe(size);
      }
    }
    expect(await cold.system(sessionId, state)).toEqual(system);

    for (const [from, limit] of pages) {
      expect(await cold.page(sessionId, { base: null, baseEnd: 0 }, from, limit)).toEqual(
        entries.slice(from, from + limit),
      );
    }

    for (let number = 0; number <= naive.turns; number++) {
      const then = await cold.asOf(sessionId, number);
      // What an open turn makes of steps and cost is not known yet; those behind it never started.
      const isOpen = state.turn !== null && number >= state.turn.number;
      const { steps, totalCostUsd } = isOpen ? then : naive.asOf(number);
      expect(then).toEqual({ ...naive.asOf(number), steps, totalCostUsd });
    }
  }

  async function wasEdited(sessionId: string): Promise<boolean> {
    const turns = await store.rows('turns');
    return turns.some(
      (turn) =>
        turn['session_id'] === sessionId && Number(turn['visible_end']) < Number(turn['end_index']),
    );
  }
});
