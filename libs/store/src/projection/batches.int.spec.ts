import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  SESSION,
  assistant,
  id,
  processAt,
  sessionExported,
  sessionOpened,
  surfaceAttached,
  turnAdopted,
  turnCompleted,
  turnFailed,
  turnStarted,
  turnUndelivered,
  user,
} from '#libs/domain/testing';
import type { LogEvent } from '#libs/protocol';
import {
  DIALECTS,
  costOf,
  idleSession,
  openTestStore,
  recordsOf,
  turnOf,
} from '#libs/store/testing';
import type { TestStore } from '#libs/store/testing';
import { SessionReads } from '../reads/session-reads.js';
import { Projection } from './projection.js';

const turn = (number: number): string => id(0x70000 + number);

/** A session's turn, each with one question and one answer, after `number - 1` such turns. */
function question(number: number, keeps = 2 * (number - 1)) {
  const told = { turn: turn(number), after: number - 1, keeps };
  return turnStarted(10 * number, { ...told, messages: [user(`question ${number}`)] });
}
function answer(number: number) {
  const told = { turn: turn(number), messages: [assistant(`answer ${number}`)] };
  return turnCompleted(10 * number, told);
}
/** A session with so many turns. */
const sessionOf = (turns: number): readonly LogEvent[] => [
  sessionOpened(10),
  ...Array.from({ length: turns }, (_, at) => [question(at + 1), answer(at + 1)]).flat(),
];

describe.each(DIALECTS)('a batch of events on %s', (dialect) => {
  let store: TestStore;

  beforeAll(async () => {
    store = await openTestStore(dialect);
  });
  afterAll(() => store.close());
  beforeEach(() => store.clear());

  async function foldInBatches(log: readonly LogEvent[], size: number): Promise<void> {
    await store.clear();
    for (let from = 0; from < log.length; from += size) {
      await store.fold(...log.slice(from, from + size));
    }
  }

  /** The places of a session's turns, as they stand in the table. */
  const places = async (sessionId = SESSION) =>
    (await store.rows('turns'))
      .filter((row) => row['session_id'] === sessionId)
      .map((row) => [row['first_index'], row['end_index'], row['visible_end']]);

  describe('takes statements', () => {
    /** All that a batch can do, to sessions from `first` on that are known, and to new ones. */
    async function everything(first: number, count: number): Promise<readonly LogEvent[]> {
      const numbers = Array.from({ length: count }, (_, at) => first + at);
      await store.fold(
        ...numbers.flatMap((number) => {
          const { session } = turnOf(number);
          const told = { session, turn: id(3000 + number), after: 1, keeps: 2 };
          return [...idleSession(number, 10), turnStarted(20, told)];
        }),
      );
      return numbers.flatMap((number) => {
        const { session, turn, attachId } = turnOf(number);
        const open = { session, turn: id(3000 + number) };
        const edit = { session, turn: id(4000 + number), after: 2, keeps: 1 };
        return [
          turnUndelivered(turn, { session }),
          turnAdopted(30, open),
          turnCompleted(30, { ...open, caller: 'gone' }),
          turnStarted(40, edit),
          turnFailed(40, edit),
          surfaceAttached(attachId, { session }),
          sessionExported(id(5000 + number), { session }),
          ...idleSession(6000 + number),
        ];
      });
    }

    const apply = (events: readonly LogEvent[]) =>
      store.database.write((transaction) =>
        new Projection().apply(transaction, 0, recordsOf(events)),
      );

    it('of a constant number, however many events and sessions it has [A11]', async () => {
      const few = await everything(1, 1);
      const many = await everything(100, 60);
      const costs = [
        await costOf(store.database, () => apply(few)),
        await costOf(store.database, () => apply(many)),
      ];
      expect(costs[1]?.statements).toBe(costs[0]?.statements);
      // BEGIN and COMMIT; two reads; sessions, turns in five ways, exports, live sessions.
      expect(costs[0]?.statements).toBeLessThanOrEqual(2 + 2 + 1 + 5 + 1 + 1);
    });

    it('for a turn’s start and for its end, three each and the transaction’s', async () => {
      await store.fold(...sessionOf(3));
      const cost = (event: LogEvent) => costOf(store.database, () => apply([event]));
      expect((await cost(question(4))).statements).toBeLessThanOrEqual(5);
      expect((await cost(answer(4))).statements).toBeLessThanOrEqual(5);
    });

    it('but none for no events, and one for events that change nothing', async () => {
      await store.fold(...sessionOf(1));
      expect((await costOf(store.database, () => apply([]))).statements).toBeLessThanOrEqual(2);
      const late = await costOf(store.database, () => apply([question(1), answer(1)]));
      expect(late.statements).toBeLessThanOrEqual(3);
    });

    it('that hold more rows than any reader gives at once', async () => {
      await store.fold(...sessionOf(500));
      expect(await store.rows('turns')).toHaveLength(500);
      const replaced = Array.from({ length: 500 }, (_, at) => idleSession(at + 1)).flat();
      await store.fold(...replaced);
      expect(await store.rows('sessions')).toHaveLength(501);
    });
  });

  describe('with an edit', () => {
    it('lowers what is visible of the turns that it cuts, wherever they began', async () => {
      const expected = [
        [0, 2, 2],
        [2, 4, 3],
        [4, 6, 4],
        [3, 5, 5],
      ];
      const log = [...sessionOf(3), question(4, 3), answer(4)];
      for (const size of [1, 4, 6, log.length]) {
        await foldInBatches(log, size);
        expect(await places()).toEqual(expected);
      }
    });

    it('and a later one that keeps more lowers nothing again', async () => {
      await store.fold(...sessionOf(3), question(4, 2), answer(4), question(5, 4), answer(5));
      expect(await places()).toEqual([
        [0, 2, 2],
        [2, 4, 2],
        [4, 6, 4],
        [2, 4, 4],
        [4, 6, 6],
      ]);
    });

    it('touches no other session', async () => {
      const { session, turn: other } = turnOf(1);
      await store.fold(...sessionOf(2), ...idleSession(1));
      const before = await places(session);
      await store.fold(question(3, 0), turnUndelivered(other, { session }));
      expect(await places(session)).toEqual(before);
      expect(await places()).toEqual([
        [0, 2, 0],
        [2, 4, 2],
        [0, 1, 1],
      ]);
    });

    it('that takes the place of an open turn cuts that, too', async () => {
      const edit = turnStarted(30, { turn: turn(3), after: 2, keeps: 2, messages: [user('x')] });
      const log = [...sessionOf(1), question(2), edit];
      for (const size of [1, log.length]) {
        await foldInBatches(log, size);
        expect(await places()).toEqual([
          [0, 2, 2],
          [2, 3, 2],
          [2, 3, 3],
        ]);
        expect(await store.rows('turns')).toMatchObject([
          { status: 'completed' },
          { status: 'cancelled', output: null },
          { status: 'open' },
        ]);
      }
    });

    it('of a writer who has not seen the last turn cuts nothing in the tables', async () => {
      await store.fold(...sessionOf(2));
      const stale = turnStarted(30, { turn: turn(3), after: 1, keeps: 0, messages: [user('x')] });
      await store.fold(stale);
      expect(await places()).toEqual([
        [0, 2, 2],
        [2, 4, 4],
        [4, 5, 5],
      ]);
      expect(await new SessionReads(store.database).state(SESSION)).toMatchObject({ messages: 5 });
    });
  });

  it('that begins, adopts, ends and owes a turn writes the row that it has then', async () => {
    const runner = processAt(7);
    const log = [
      ...sessionOf(1),
      question(2),
      turnAdopted(25, { turn: turn(2), runner }),
      turnCompleted(25, { turn: turn(2), messages: [assistant('answer 2')] }),
      turnUndelivered(turn(2)),
      turnUndelivered(turn(1)),
    ];
    const rows: unknown[] = [];
    for (const size of [1, 3, 5, log.length]) {
      await foldInBatches(log, size);
      rows.push(await store.rows('turns'));
    }
    expect(rows[0]).toMatchObject([
      { number: 1, status: 'completed', seq: 2, epoch: 10 },
      {
        ...{ number: 2, status: 'completed', seq: 1, epoch: 25 },
        ...{ runner_slot: 7, runner_incarnation: runner.incarnation, steps: 2 },
        ...{ session_cost_usd: 0.5, first_index: 2, end_index: 4, visible_end: 4 },
      },
    ]);
    for (const each of rows) expect(each).toEqual(rows[0]);
  });
});
