import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { initialState } from '#libs/domain';
import {
  ATTACH,
  FAILURE,
  SESSION,
  assistant,
  id,
  instant,
  sessionOpened,
  surfaceAttached,
  turnCompleted,
  turnFailed,
  turnStarted,
  turnUndelivered,
  user,
} from '#libs/domain/testing';
import { DIALECTS, openTestStore } from '#libs/store/testing';
import type { TestStore } from '#libs/store/testing';
import { OWED_PAGE, OWED_PAGE_BYTES, SurfaceReads } from './surface-reads.js';

const turn = (number: number): string => id(0x70000 + number);
const answered = [
  sessionOpened(10),
  turnStarted(10, { turn: turn(1), messages: [user('one')], at: instant(1) }),
  turnCompleted(10, { turn: turn(1), messages: [assistant('1')], snapshot: id(7), at: instant(2) }),
] as const;

describe.each(DIALECTS)('the reads of gateways on %s', (dialect) => {
  let store: TestStore;
  let surfaces: SurfaceReads;

  beforeAll(async () => {
    store = await openTestStore(dialect);
    surfaces = new SurfaceReads(store.database);
  });
  afterAll(() => store.close());
  beforeEach(() => store.clear());

  describe('what a surface sees', () => {
    /** A session with a surface, and so many completed turns after the first. */
    const manyTurns = (count: number) =>
      Array.from({ length: count }, (_, index) => {
        const told = { turn: turn(index + 2) };
        return [
          turnStarted(20 + index, { ...told, keeps: 99 }),
          turnCompleted(20 + index, {
            ...told,
            messages: [assistant(`text ${index + 1}`)],
            at: instant(index),
          }),
        ];
      }).flat();

    it('of a session that is none is nothing', async () => {
      expect(await surfaces.view(SESSION, 0)).toEqual({ session: initialState, owed: [] });
    });

    it('is the session and the turns that it is owed, as of one read [A7]', async () => {
      await store.fold(...answered, surfaceAttached(), ...manyTurns(3));
      const { session, owed } = await surfaces.view(SESSION, 1);
      expect(session).toMatchObject({ head: 3, cursor: 0, surface: { type: 'attached' } });
      expect(owed).toEqual([
        {
          turnId: turn(3),
          number: 3,
          epoch: 21,
          seq: 2,
          status: 'completed',
          text: 'text 2',
          modelUsed: 'demo-1',
          costUsd: 0.25,
          toolCalls: [],
          error: null,
          createdAt: instant(1),
        },
        expect.objectContaining({ turnId: turn(4), seq: 3, text: 'text 3' }),
      ]);
      expect((await surfaces.view(SESSION, 3)).owed).toEqual([]);
    });

    it('includes turns that failed, without text, and answers that were not delivered', async () => {
      const failing = [turnStarted(20, { turn: turn(2) }), turnFailed(20, { turn: turn(2) })];
      await store.fold(...answered, surfaceAttached(), ...failing, turnUndelivered(turn(1)));
      expect((await surfaces.view(SESSION, 0)).owed).toMatchObject([
        { turnId: turn(2), seq: 1, status: 'failed', text: '', error: FAILURE, modelUsed: null },
        { turnId: turn(1), seq: 2, status: 'completed', text: '1' },
      ]);
    });

    it('comes in pages, oldest first', async () => {
      const count = 2 * OWED_PAGE + 30;
      await store.fold(...answered, surfaceAttached(), ...manyTurns(count));
      const { session, owed } = await surfaces.view(SESSION, 0);
      const pages = [owed];
      for (
        let last = owed.at(-1)?.seq ?? 0;
        last < count;
        last = pages.at(-1)?.at(-1)?.seq ?? count
      ) {
        pages.push(await surfaces.owed(SESSION, last, count));
      }
      expect(session).toMatchObject({ head: count });
      expect(pages.map((page) => page.length)).toEqual([OWED_PAGE, OWED_PAGE, 30]);
      expect(pages.flat().map(({ seq }) => seq)).toEqual(
        Array.from({ length: count }, (_, index) => index + 1),
      );
      expect((await surfaces.owed(SESSION, 10, 12)).map(({ seq }) => seq)).toEqual([11, 12]);
    });

    it('comes in pages of bounded bytes, of one turn at the least', async () => {
      const large = assistant('x'.repeat(OWED_PAGE_BYTES));
      const turns = [2, 3, 4].flatMap((number) => [
        turnStarted(10 * number, { turn: turn(number), after: number - 1, keeps: 99 }),
        turnCompleted(10 * number, { turn: turn(number), messages: [large] }),
      ]);
      await store.fold(...answered, surfaceAttached(), ...turns);
      expect((await surfaces.view(SESSION, 0)).owed.map(({ seq }) => seq)).toEqual([1]);
      expect((await surfaces.owed(SESSION, 1, 3)).map(({ seq }) => seq)).toEqual([2]);
    });

    it('is glanced at for many sessions at once', async () => {
      await store.fold(...answered, surfaceAttached(), turnStarted(20, { turn: turn(2) }));
      const told = { session: id(2) };
      await store.fold(
        sessionOpened(10, told),
        turnStarted(10, told),
        turnCompleted(10, { ...told, caller: 'gone' }),
      );
      const glances = await surfaces.glance([SESSION, id(2), id(3)]);
      expect(Object.fromEntries(glances)).toEqual({
        [SESSION]: {
          attachId: ATTACH,
          head: 0,
          called: 0,
          openTurn: { turnId: turn(2), epoch: 20, waits: false },
        },
        [id(2)]: { attachId: null, head: 1, called: 0, openTurn: null },
      });
      expect(await surfaces.glance([])).toEqual(new Map());
    });
  });
});
