import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { OpenSession } from '#libs/domain';
import {
  SESSION,
  assistant,
  id,
  instant,
  sessionOpened,
  turnCompleted,
  turnFailed,
  turnStarted,
  user,
} from '#libs/domain/testing';
import type { LogEvent, Message } from '#libs/protocol';
import { contentOf } from '#libs/protocol';
import { DIALECTS, costOf, openTestStore } from '#libs/store/testing';
import type { TestStore } from '#libs/store/testing';
import { SessionReads } from './session-reads.js';
import { Transcripts, storedTranscript } from './transcripts.js';

const turn = (number: number): string => id(0x70000 + number);
const opened = [
  sessionOpened(10),
  turnStarted(10, { turn: turn(1), messages: [user('one')], at: instant(1) }),
] as const;
const answered = [
  ...opened,
  turnCompleted(10, { turn: turn(1), messages: [assistant('1')], at: instant(2) }),
] as const;
const system = (text: string): Message[] => [{ role: 'system', content: text }];

/** The turns that follow the first one, each a question and an answer. */
function turns(first: number, last: number): readonly LogEvent[] {
  return Array.from({ length: last - first + 1 }, (_, index) => {
    const number = first + index;
    const told = { turn: turn(number), after: number - 1, keeps: 2 * (number - 1) };
    return [
      turnStarted(10 * number, { ...told, messages: [user(`question ${number}`)] }),
      turnCompleted(10 * number, { ...told, messages: [assistant(`answer ${number}`)] }),
    ];
  }).flat();
}

describe.each(DIALECTS)('transcripts on %s', (dialect) => {
  let store: TestStore;
  let transcripts: Transcripts;

  beforeAll(async () => {
    store = await openTestStore(dialect);
  });
  afterAll(() => store.close());
  beforeEach(async () => {
    await store.clear();
    transcripts = new Transcripts(store.database);
  });
  afterEach(() => void vi.restoreAllMocks());

  async function session(): Promise<OpenSession> {
    const state = await new SessionReads(store.database).state(SESSION);
    if (state.phase !== 'open') throw new Error('the session was not opened');
    return state;
  }

  const contentsOf = (messages: readonly Message[]) => messages.map(({ content }) => content);
  const loaded = async (from = transcripts): Promise<unknown[]> => {
    const transcript = await from.load(SESSION, await session());
    return contentsOf(transcript.messages());
  };
  const paged = async (from = 0, limit = 1_000): Promise<unknown[]> =>
    contentsOf(
      (await transcripts.page(SESSION, { base: null, baseEnd: 0 }, from, limit)).map(
        ({ message }) => message,
      ),
    );
  const asOf = async (turnNumber: number): Promise<unknown[]> =>
    contentsOf((await transcripts.asOf(SESSION, turnNumber)).entries.map((entry) => entry.message));

  /** How many rows each read gave while something was done. */
  async function rowsReadBy(work: () => Promise<unknown>): Promise<readonly number[]> {
    const read = vi.spyOn(store.database, 'read');
    await work();
    const results = await Promise.all(read.mock.results.map(({ value }) => value as unknown));
    read.mockRestore();
    return results.map((rows) => (rows as readonly unknown[]).length);
  }

  it('are empty before any turn', async () => {
    await store.fold(sessionOpened(10));
    expect(await loaded()).toEqual([]);
    expect(await paged()).toEqual([]);
    expect(await transcripts.asOf(SESSION, 0)).toEqual({
      system: [],
      entries: [],
      steps: 0,
      totalCostUsd: 0,
    });
    expect(await transcripts.system(SESSION, await session())).toEqual([]);
  });

  it('hold what was asked and answered, with the turn’s cost once, at its last message', async () => {
    const messages = [assistant('a'), assistant('b')];
    await store.fold(...opened, turnCompleted(10, { turn: turn(1), messages, at: instant(9) }));
    const answer = { turnId: turn(1), modelUsed: 'demo-1', createdAt: instant(9) };
    const entries = [
      {
        ...{ index: 0, message: user('one'), turnId: turn(1), modelUsed: null, costUsd: null },
        createdAt: instant(1),
      },
      { ...answer, index: 1, message: assistant('a'), costUsd: null },
      { ...answer, index: 2, message: assistant('b'), costUsd: 0.25 },
    ];
    expect(await transcripts.page(SESSION, { base: null, baseEnd: 0 }, 0, 10)).toEqual(entries);
    expect(await transcripts.asOf(SESSION, 1)).toEqual({
      system: [],
      entries,
      steps: 1,
      totalCostUsd: 0.25,
    });
  });

  it('keep as much as each turn says', async () => {
    const told = { turn: turn(2), after: 1, keeps: 0 };
    await store.fold(
      ...answered,
      turnStarted(20, { ...told, messages: [user('other')] }),
      turnCompleted(20, { ...told, messages: [assistant('2')] }),
    );
    for (const now of [await loaded(), await paged(), await asOf(2)]) {
      expect(now).toEqual(['other', '2']);
    }
    expect(await asOf(1)).toEqual(['one', '1']);
    expect(await asOf(0)).toEqual([]);
  });

  it('lose nothing to a turn whose writer had not seen the last one', async () => {
    const told = { turn: turn(3), after: 1, keeps: 0 };
    const before = [...answered, ...turns(2, 2)];
    await store.fold(...before, turnStarted(30, { ...told, messages: [user('other')] }));
    const all = ['one', '1', 'question 2', 'answer 2', 'other'];
    for (const now of [await loaded(), await paged()]) expect(now).toEqual(all);
    expect(await asOf(2)).toEqual(all.slice(0, 4));
  });

  it('keep the questions of a turn that failed, and say that nobody answered them', async () => {
    const messages = [user('two'), user('more')];
    const told = { turn: turn(2), after: 1, keeps: 2 };
    await store.fold(...answered, turnStarted(20, { ...told, messages }), turnFailed(20, told));
    expect(await loaded()).toEqual(['one', '1', 'two', 'more']);
    const state = await session();
    expect(state.steps).toBe(1);
    const transcript = await transcripts.load(SESSION, state);
    const stored = storedTranscript(transcript, []);
    expect(stored).toMatchObject({ count: 4, system: [] });
    expect(stored.turns.map(({ outcome }) => outcome)).toEqual(['answered', 'unanswered']);
    expect(stored.turns[1]?.messages()).toEqual(messages);
    expect([0, 1, 2].map((at) => stored.turns[1]?.placeOf(at))).toEqual([2, 3, 4]);
    expect(stored.bytesOf(2)).toBe(
      JSON.stringify(user('one')).length + JSON.stringify(assistant('1')).length,
    );
    expect(await transcripts.asOf(SESSION, 2)).toMatchObject({ steps: 1, totalCostUsd: 0.25 });
  });

  it('have the questions of a turn that is open', async () => {
    const told = { turn: turn(2), after: 1, keeps: 2, messages: [user('two')] };
    await store.fold(...answered, turnStarted(20, told));
    for (const now of [await loaded(), await paged()]) expect(now).toEqual(['one', '1', 'two']);
  });

  it('of a session whose last turn was open are read anew when it has ended', async () => {
    const told = { turn: turn(2), after: 1, keeps: 2, messages: [user('two')] };
    await store.fold(...answered, turnStarted(20, told));
    await loaded();
    await store.fold(turnCompleted(20, { turn: turn(2), messages: [assistant('2')] }));
    expect(await loaded()).toEqual(['one', '1', 'two', '2']);
  });

  it('have the last system messages that a turn brought', async () => {
    await store.fold(
      sessionOpened(10),
      turnStarted(10, { turn: turn(1), system: system('a') }),
      turnStarted(20, { turn: turn(2), after: 1, keeps: 1, system: system('b') }),
      turnStarted(30, { turn: turn(3), after: 2, keeps: 2 }),
    );
    expect(await transcripts.system(SESSION, await session())).toEqual(system('b'));
    expect((await transcripts.asOf(SESSION, 3)).system).toEqual(system('b'));
    expect((await transcripts.asOf(SESSION, 1)).system).toEqual(system('a'));
    expect((await transcripts.asOf(SESSION, 0)).system).toEqual([]);
  });

  it('have no total cost where that of one completed turn is unknown', async () => {
    const [started, completed] = turns(2, 2);
    if (completed?.type !== 'turn.completed') throw new Error('the second event ends the turn');
    const unknown = { ...completed, data: { ...completed.data, cost_usd: null, usage: null } };
    await store.fold(...answered, started as LogEvent, unknown);
    expect((await transcripts.asOf(SESSION, 2)).totalCostUsd).toBeNull();
    expect((await transcripts.asOf(SESSION, 1)).totalCostUsd).toBe(0.25);
  });

  it('are shown as of a turn that lies behind hundreds', async () => {
    await store.fold(...answered, ...turns(2, 450));
    const all = await loaded();
    expect(all).toHaveLength(900);
    for (const number of [1, 199, 200, 201, 400, 450]) {
      expect(await asOf(number)).toEqual(all.slice(0, 2 * number));
    }
  });

  it('go to a model as the JSON that they are, whole or in part, however many turns there are', async () => {
    const texts: string[] = [];
    const log = [...answered, ...turns(2, 150)];
    for (const event of log) {
      const { messages = [] } = (contentOf(event) ?? {}) as { readonly messages?: Message[] };
      texts.push(...messages.map((message) => JSON.stringify(message)));
    }
    await store.fold(...log.slice(0, 11));
    await loaded();
    await store.fold(...log.slice(11));
    const transcript = await transcripts.load(SESSION, await session());
    for (const count of [0, 1, 9, 129, 299, 300]) {
      const json = transcript.sent(count, []).map(String).join(',');
      expect(json).toBe(texts.slice(0, count).join(','));
    }
  });

  describe('cost', () => {
    beforeEach(() => store.fold(...answered, ...turns(2, 40)));

    it('one more turn where the others are known: only it is read', async () => {
      await loaded();
      await store.fold(...turns(41, 41));
      const state = await session();
      expect(await rowsReadBy(() => transcripts.load(SESSION, state))).toEqual([1]);
      await store.fold(...turns(42, 44));
      const later = await session();
      expect(await rowsReadBy(() => transcripts.load(SESSION, later))).toEqual([3]);
    });

    it('nothing where nothing has come since', async () => {
      await loaded();
      const state = await session();
      const cost = await costOf(store.database, () => transcripts.load(SESSION, state));
      expect(cost.statements).toBe(0);
    });

    it('all turns once more after an edit, and only new ones from then on', async () => {
      await loaded();
      const told = { turn: turn(41), after: 40, keeps: 3 };
      await store.fold(turnStarted(410, { ...told, messages: [user('edit')] }));
      await store.fold(turnFailed(410, told));
      expect(await loaded()).toEqual(['one', '1', 'question 2', 'edit']);
      const state = await session();
      expect(await rowsReadBy(() => transcripts.load(SESSION, state))).toEqual([]);
    });

    it('all turns once more after an edit that only cut', async () => {
      await loaded();
      const told = { turn: turn(41), after: 40, keeps: 3 };
      await store.fold(turnStarted(410, { ...told, messages: [] }), turnFailed(410, told));
      expect(await loaded()).toEqual(['one', '1', 'question 2']);
    });

    it('a page what it holds, wherever it begins', async () => {
      for (const from of [0, 40, 70]) {
        const [rows = Number.NaN, ...more] = await rowsReadBy(() =>
          transcripts.page(SESSION, { base: null, baseEnd: 0 }, from, 5),
        );
        expect(rows).toBeLessThanOrEqual(5);
        expect(more).toEqual([]);
      }
      expect(await paged(70, 5)).toEqual([
        ...['question 36', 'answer 36', 'question 37', 'answer 37', 'question 38'],
      ]);
    });

    it('every turn at each load where a process may keep nothing, and are right all the same', async () => {
      const forgetful = new Transcripts(store.database, 10);
      const all = await loaded(forgetful);
      const state = await session();
      expect(await rowsReadBy(() => forgetful.load(SESSION, state))).toEqual([40]);
      expect(await loaded(forgetful)).toEqual(all);
    });
  });
});
