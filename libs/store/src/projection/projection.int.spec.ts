import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Message } from '#libs/protocol';
import {
  ATTACH,
  FAILURE,
  GATEWAY,
  OTHER_ATTACH,
  RUNNER,
  SESSION,
  assistant,
  given,
  id,
  instant,
  processAt,
  sessionExported,
  sessionOpened,
  surfaceAcknowledged,
  surfaceAttached,
  surfaceDetached,
  turnAdopted,
  turnCompleted,
  turnFailed,
  turnStarted,
  turnUndelivered,
  user,
} from '#libs/domain/testing';
import { initialState } from '#libs/domain';
import { DIALECTS, openTestStore } from '#libs/store/testing';
import type { TestStore } from '#libs/store/testing';
import { Projection } from './projection.js';
import { SessionReads } from '../reads/session-reads.js';
import { OWED_PAGE, SurfaceReads } from '../reads/surface-reads.js';

const turn = (number: number): string => id(0x70000 + number);
const opened = [
  sessionOpened(10),
  turnStarted(10, { turn: turn(1), messages: [user('one')], at: instant(1) }),
] as const;
const answered = [
  ...opened,
  turnCompleted(10, { turn: turn(1), messages: [assistant('1')], snapshot: id(7), at: instant(2) }),
] as const;

describe.each(DIALECTS)('the read models on %s', (dialect) => {
  let store: TestStore;
  let sessions: SessionReads;
  let surfaces: SurfaceReads;

  beforeAll(async () => {
    store = await openTestStore(dialect);
    sessions = new SessionReads(store.database);
    surfaces = new SurfaceReads(store.database);
  });
  afterAll(() => store.close());
  beforeEach(() => store.clear());

  describe('a session', () => {
    it('is what the domain folds, however its events are cut into batches', async () => {
      const log = [...answered, surfaceAttached(), turnStarted(20, { turn: turn(2) })];
      for (const event of log) await store.fold(event);
      expect(await sessions.state(SESSION)).toEqual(given(...log).state);
      await store.clear();
      await store.fold(...log);
      expect(await sessions.state(SESSION)).toEqual(given(...log).state);
    });

    it('that nobody wrote of is the initial one, and leaves no row', async () => {
      await store.fold(turnCompleted(10), surfaceAttached(), sessionExported(id(1)));
      await store.fold();
      expect(await store.rows('sessions')).toEqual([]);
      expect(await sessions.state(SESSION)).toEqual(initialState);
    });

    it('that was taken over before it was opened keeps its epoch', async () => {
      await store.fold(turnAdopted(20));
      await store.fold(...opened);
      expect(await sessions.state(SESSION)).toEqual({ phase: 'unopened', epoch: 20 });
      expect(await store.rows('turns')).toEqual([]);
    });

    it('is its agent’s live one, until one that was opened at a higher epoch', async () => {
      const open = (number: number, epoch: number) => [
        sessionOpened(epoch, { session: id(number) }),
        turnStarted(epoch, { session: id(number) }),
      ];
      await store.fold(...open(1, 20), ...open(2, 30));
      expect(await sessions.liveSession('anonymous', 'agent')).toBe(id(2));
      await store.fold(...open(3, 25));
      expect(await sessions.liveSession('anonymous', 'agent')).toBe(id(2));
      expect(await sessions.liveSession('anonymous', 'another')).toBeNull();
    });

    it('does not change with another one in the same batch', async () => {
      const other = { session: id(2) };
      const late = turnCompleted(10, { turn: turn(1) });
      await store.fold(
        opened[0],
        sessionOpened(10, other),
        opened[1],
        turnStarted(10, other),
        late,
      );
      expect(await sessions.state(SESSION)).toMatchObject({ turn: null, steps: 1 });
      expect(await sessions.state(id(2))).toMatchObject({ steps: 0, turn: { epoch: 10 } });
    });
  });

  it('are written whole or not at all', async () => {
    const projection = new Projection();
    await expect(
      store.database.write(async (transaction) => {
        await projection.apply(transaction, answered);
        throw new Error('the process was killed');
      }),
    ).rejects.toThrow('killed');
    expect(await store.rows('sessions')).toEqual([]);
    expect(await store.rows('turns')).toEqual([]);
  });

  it('change nothing by late copies', async () => {
    const log = [...answered, surfaceAttached(), sessionExported(id(5)), surfaceDetached()];
    await store.fold(...log);
    const tables = ['sessions', 'turns', 'live_sessions', 'exports'] as const;
    const before = await Promise.all(tables.map((table) => store.rows(table)));
    await store.fold(...log);
    expect(await Promise.all(tables.map((table) => store.rows(table)))).toEqual(before);
  });

  it('take any text that a log can hold', async () => {
    const strange = 'a\u0000b\ud83d\ude00\ud83d\u2028"\\\'';
    const started = turnStarted(10, { turn: turn(1), model: strange, messages: [user(strange)] });
    const completed = turnCompleted(10, {
      turn: turn(1),
      model: strange,
      messages: [assistant(strange)],
    });
    await store.fold(
      sessionOpened(10),
      started,
      completed,
      sessionExported(id(5), { label: strange }),
    );
    const { entries } = await sessions.transcript(SESSION);
    expect(entries.map(({ message }) => message.content)).toEqual([strange, strange]);
    expect((await sessions.turn(SESSION, turn(1)))?.modelUsed).toContain('b\ud83d\ude00');
    expect(await store.rows('exports')).toHaveLength(1);
  });

  describe('gateways to poke', () => {
    it('are those whose surface has something new, each once in a batch', async () => {
      expect(await store.fold(...answered)).toEqual([]);
      expect(await store.fold(surfaceAttached())).toEqual([
        { sessionId: SESSION, gateway: GATEWAY },
      ]);
      const next = [turnStarted(20, { turn: turn(2) }), turnCompleted(20, { turn: turn(2) })];
      expect(await store.fold(...next)).toEqual([{ sessionId: SESSION, gateway: GATEWAY }]);
      expect(await store.fold(surfaceAcknowledged(1))).toEqual([]);
      const takeover = surfaceAttached(OTHER_ATTACH, { gateway: processAt(5) });
      expect(await store.fold(takeover)).toEqual([
        { sessionId: SESSION, gateway: GATEWAY },
        { sessionId: SESSION, gateway: processAt(5) },
      ]);
    });
  });

  describe('a turn', () => {
    it('is read as it began, and as it ended', async () => {
      await store.fold(...opened);
      expect(await sessions.turn(SESSION, turn(1))).toEqual({
        turnId: turn(1),
        epoch: 10,
        status: 'open',
        keeps: 0,
        messages: [user('one')],
        model: 'demo',
        options: { stream: true },
        checkpointEvery: 1,
        output: [],
        modelUsed: null,
        usage: null,
        costUsd: null,
        snapshotId: null,
        error: null,
      });
      await store.fold(...answered.slice(2));
      expect(await sessions.turn(SESSION, turn(1))).toMatchObject({
        status: 'completed',
        output: [assistant('1')],
        modelUsed: 'demo-1',
        usage: { prompt_tokens: 3, completion_tokens: 2 },
        costUsd: 0.25,
        snapshotId: id(7),
      });
      expect(await sessions.turn(SESSION, turn(2))).toBeNull();
    });

    it('belongs to its last attempt', async () => {
      await store.fold(...opened, turnAdopted(30, { turn: turn(1), runner: processAt(4) }));
      expect(await sessions.turn(SESSION, turn(1))).toMatchObject({ epoch: 30, status: 'open' });
      expect(await store.rows('turns')).toMatchObject([
        { runner_slot: 4, runner_incarnation: processAt(4).incarnation },
      ]);
    });

    it('that failed tells why', async () => {
      await store.fold(...opened, turnFailed(10, { turn: turn(1) }));
      expect(await sessions.turn(SESSION, turn(1))).toMatchObject({
        status: 'failed',
        error: FAILURE,
        output: [],
      });
    });
  });

  describe('a transcript', () => {
    const contents = async (upTo?: number): Promise<unknown[]> =>
      (await sessions.transcript(SESSION, upTo)).entries.map(({ message }) => message.content);

    it('is empty before any turn', async () => {
      expect(await sessions.transcript(SESSION)).toEqual({
        system: [],
        entries: [],
        unanswered: 0,
        steps: 0,
        turnNumber: 0,
        totalCostUsd: 0,
      });
    });

    it('holds what was asked and answered, with the turn’s cost once, at its last message', async () => {
      await store.fold(
        ...opened,
        turnCompleted(10, {
          turn: turn(1),
          messages: [assistant('a'), assistant('b')],
          at: instant(9),
        }),
      );
      const { entries, ...rest } = await sessions.transcript(SESSION);
      expect(entries).toEqual([
        {
          message: user('one'),
          turnId: turn(1),
          modelUsed: null,
          costUsd: null,
          createdAt: instant(1),
        },
        {
          message: assistant('a'),
          turnId: turn(1),
          modelUsed: 'demo-1',
          costUsd: null,
          createdAt: instant(9),
        },
        {
          message: assistant('b'),
          turnId: turn(1),
          modelUsed: 'demo-1',
          costUsd: 0.25,
          createdAt: instant(9),
        },
      ]);
      expect(rest).toEqual({
        system: [],
        unanswered: 0,
        steps: 1,
        turnNumber: 1,
        totalCostUsd: 0.25,
      });
    });

    it('keeps as much as each turn says', async () => {
      const retry = turnStarted(20, { turn: turn(2), keeps: 0, messages: [user('other')] });
      await store.fold(
        ...answered,
        retry,
        turnCompleted(20, { turn: turn(2), messages: [assistant('2')] }),
      );
      expect(await contents()).toEqual(['other', '2']);
      expect(await contents(1)).toEqual(['one', '1']);
      expect(await contents(0)).toEqual([]);
    });

    it('keeps the questions of a turn that failed, and says how many of them nobody answered', async () => {
      const failing = turnStarted(20, {
        turn: turn(2),
        keeps: 2,
        messages: [user('two'), user('more')],
      });
      await store.fold(...answered, failing, turnFailed(20, { turn: turn(2) }));
      expect(await contents()).toEqual(['one', '1', 'two', 'more']);
      expect(await sessions.transcript(SESSION)).toMatchObject({
        unanswered: 2,
        steps: 1,
        turnNumber: 2,
      });
    });

    it('has the questions of a turn that is open, which are not unanswered yet', async () => {
      await store.fold(
        ...answered,
        turnStarted(20, { turn: turn(2), keeps: 2, messages: [user('two')] }),
      );
      expect(await contents()).toEqual(['one', '1', 'two']);
      expect((await sessions.transcript(SESSION)).unanswered).toBe(0);
    });

    it('has the last system messages that a turn brought', async () => {
      const system = (text: string): Message[] => [{ role: 'system', content: text }];
      const second = turnStarted(20, { turn: turn(2), keeps: 2, system: system('b') });
      await store.fold(
        sessionOpened(10),
        turnStarted(10, { turn: turn(1), system: system('a') }),
        second,
      );
      await store.fold(turnStarted(30, { turn: turn(3), keeps: 3 }));
      expect((await sessions.transcript(SESSION)).system).toEqual(system('b'));
      expect((await sessions.transcript(SESSION, 1)).system).toEqual(system('a'));
    });

    it('has no total cost where that of one completed turn is unknown', async () => {
      const unknown = turnCompleted(20, { turn: turn(2) });
      const second = turnStarted(20, { turn: turn(2), keeps: 2 });
      await store.fold(...answered, second, {
        ...unknown,
        data: { ...unknown.data, cost_usd: null, usage: null },
      });
      expect((await sessions.transcript(SESSION)).totalCostUsd).toBeNull();
      expect((await sessions.transcript(SESSION, 1)).totalCostUsd).toBe(0.25);
    });
  });

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
        [SESSION]: { attachId: ATTACH, head: 0, openTurn: { turnId: turn(2), epoch: 20 } },
        [id(2)]: { attachId: null, head: 1, openTurn: null },
      });
      expect(await surfaces.glance([])).toEqual(new Map());
    });
  });

  it('hold each export once', async () => {
    await store.fold(
      ...answered,
      sessionExported(id(5), { label: 'x', at: instant(3) }),
      sessionExported(id(6)),
    );
    await store.fold(sessionExported(id(5), { label: 'x', at: instant(3) }));
    expect(await store.rows('exports')).toEqual([
      {
        export_id: id(5),
        session_id: SESSION,
        label: 'x',
        created_at: instant(3),
        expires_at: instant(86_400_000),
        turn_number: 1,
        message_count: 2,
        bundle_cid: 'c'.repeat(64),
      },
      expect.objectContaining({ export_id: id(6), label: null }),
    ]);
  });

  it('keep the runner of a turn for who must look after its answers', async () => {
    await store.fold(...opened);
    expect(await store.rows('turns')).toMatchObject([
      { runner_slot: RUNNER.slot, runner_incarnation: RUNNER.incarnation, ended_ms: null },
    ]);
  });
});
