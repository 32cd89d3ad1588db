import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
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
  sessionLived,
  sessionOpened,
  surfaceAcknowledged,
  surfaceAttached,
  surfaceDetached,
  turnAdopted,
  turnCompleted,
  turnFailed,
  turnStarted,
  user,
} from '#libs/domain/testing';
import { initialState } from '#libs/domain';
import { NO_TOOL_POLICY } from '#libs/protocol';
import { DIALECTS, openTestStore, recordsOf } from '#libs/store/testing';
import type { TestStore } from '#libs/store/testing';
import { Projection } from './projection.js';
import { SessionList } from '../reads/session-list.js';
import { SessionReads } from '../reads/session-reads.js';
import { Transcripts } from '../reads/transcripts.js';

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

  beforeAll(async () => {
    store = await openTestStore(dialect);
    sessions = new SessionReads(store.database);
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
      const live = [
        { principal: 'anonymous', agent_id: 'agent', session_id: id(2), opened_epoch: 30 },
      ];
      await store.fold(...open(1, 20), ...open(2, 30));
      expect(await store.rows('live_sessions')).toEqual(live);
      await store.fold(...open(3, 25));
      expect(await store.rows('live_sessions')).toEqual(live);
      await store.fold(...open(4, 60), ...open(5, 40));
      expect(await store.rows('live_sessions')).toMatchObject([{ session_id: id(4) }]);
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
        await projection.apply(transaction, 0, recordsOf(answered));
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
    const entries = await new Transcripts(store.database).page(
      SESSION,
      { base: null, baseEnd: 0 },
      0,
      9,
    );
    expect(entries.map(({ message }) => message.content)).toEqual([strange, strange]);
    expect((await sessions.turn(SESSION, turn(1)))?.modelUsed).toContain('b\ud83d\ude00');
    expect(await store.rows('exports')).toHaveLength(1);
  });

  describe('processes to poke', () => {
    it('are those whose surface has something new, each once in a batch', async () => {
      expect(await store.fold(...answered)).toEqual([]);
      expect(await store.fold(surfaceAttached())).toEqual([
        { sessionId: SESSION, process: GATEWAY },
      ]);
      const next = [turnStarted(20, { turn: turn(2) }), turnCompleted(20, { turn: turn(2) })];
      expect(await store.fold(...next)).toEqual([{ sessionId: SESSION, process: GATEWAY }]);
      expect(await store.fold(surfaceAcknowledged(1))).toEqual([]);
      const takeover = surfaceAttached(OTHER_ATTACH, { gateway: processAt(5) });
      expect(await store.fold(takeover)).toEqual([
        { sessionId: SESSION, process: GATEWAY },
        { sessionId: SESSION, process: processAt(5) },
      ]);
    });
  });

  describe('a turn', () => {
    it('is read as it began, and as it ended', async () => {
      await store.fold(...opened);
      expect(await sessions.turn(SESSION, turn(1))).toEqual({
        turnId: turn(1),
        number: 1,
        epoch: 10,
        status: 'open',
        firstIndex: 0,
        messages: [user('one')],
        model: 'demo',
        options: { stream: true },
        toolPolicy: NO_TOOL_POLICY,
        checkpointEvery: 1,
        output: [],
        text: '',
        finishReason: null,
        upstream: null,
        steps: null,
        modelUsed: null,
        usage: null,
        costUsd: null,
        snapshotId: null,
        error: null,
        runner: processAt(1),
        startedAt: instant(1),
        endedAt: null,
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

    it('whose place another one took tells so, though nobody wrote it down', async () => {
      await store.fold(...opened, turnStarted(20, { turn: turn(2), after: 1, keeps: 1 }));
      expect(await sessions.turn(SESSION, turn(1))).toMatchObject({
        status: 'cancelled',
        output: [],
        error: {
          code: 'SBP_TURN_CANCELLED',
          message: 'Another turn was started in its place.',
        },
      });
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
        content: JSON.stringify({ label: 'x' }),
        created_at: instant(0),
        expires_at: instant(86_400_000),
        turn_number: 1,
        message_count: 2,
        bundle_cid: 'c'.repeat(64),
        fate: JSON.stringify({ type: 'open' }),
      },
      expect.objectContaining({ export_id: id(6), content: JSON.stringify({ label: null }) }),
    ]);
  });

  it('say in which partition of the log a session is', async () => {
    await store.database.write((transaction) =>
      new Projection().apply(transaction, 7, recordsOf(opened)),
    );
    expect(await store.rows('sessions')).toMatchObject([{ log_partition: 7 }]);
  });

  it('have in columns what is looked for: the owner, the open turn, the surface', async () => {
    const row = async () => (await store.rows('sessions'))[0];
    await store.fold(...opened);
    expect(await row()).toMatchObject({
      ...{ phase: 'open', principal: 'anonymous', epoch: 10, head: 0 },
      ...{ open_turn_id: turn(1), open_epoch: 10, attach_id: null, gateway_incarnation: null },
    });
    await store.fold(...answered.slice(2), surfaceAttached());
    expect(await row()).toMatchObject({
      ...{ open_turn_id: null, open_epoch: null, attach_id: ATTACH },
      ...{ gateway_slot: GATEWAY.slot, gateway_incarnation: GATEWAY.incarnation },
    });
    await store.fold(surfaceDetached());
    expect(await row()).toMatchObject({ attach_id: null, gateway_incarnation: null });
  });

  // [SBP-L2-67]
  it('find the sessions that somebody suspended, by when that was', async () => {
    const list = new SessionList(store.database);
    const instantMs = Date.parse(instant(50));
    await store.fold(...answered, sessionLived('suspended', 20, { at: instant(50) }));
    expect(await list.suspendedSince(instantMs - 1, 10)).toEqual([]);
    expect(await list.suspendedSince(instantMs, 10)).toEqual([SESSION]);
    await store.fold(sessionLived('running', 30));
    expect(await list.suspendedSince(instantMs, 10)).toEqual([]);
  });

  it('keep the runner of a turn', async () => {
    await store.fold(...opened);
    expect(await store.rows('turns')).toMatchObject([
      { runner_slot: RUNNER.slot, runner_incarnation: RUNNER.incarnation, ended_at: null },
    ]);
  });
});
