import { describe, expect, it } from 'vitest';
import type { CallerPresence, LogEvent, TurnStatus } from '#libs/protocol';
import {
  ATTACH,
  FAILURE,
  GATEWAY,
  OTHER_ATTACH,
  OTHER_TURN,
  RUNNER,
  TURN,
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
  turnCancelled,
  turnCompleted,
  turnFailed,
  turnStarted,
  turnUndelivered,
  user,
} from '#libs/domain/testing';
import { queuedTurns } from './surfaces/tether.js';
import { messageBytes } from './transcript/message-bytes.js';

const opened = [sessionOpened(10), turnStarted(10)] as const;
const completed = [...opened, turnCompleted(10)] as const;
const ends = { completed: turnCompleted, failed: turnFailed, cancelled: turnCancelled };

describe('a session', () => {
  it('is opened together with its first turn', () => {
    const { session, changes } = given().whenLogged(...opened);
    expect(session).toMatchObject({
      phase: 'open',
      epoch: 10,
      openedEpoch: 10,
      agentId: 'agent',
      turns: 1,
      steps: 0,
      messages: 1,
      turn: { turnId: TURN, number: 1, epoch: 10, runner: RUNNER, adoptions: 0 },
      surface: { type: 'never' },
    });
    expect(changes.map(({ type }) => type)).toEqual(['session-opened', 'turn-started']);
  });

  it('is opened once: a second opening changes nothing', () => {
    const { session, changes } = given(...completed).whenLogged(sessionOpened(99));
    expect(session).toEqual(given(...completed).state);
    expect(changes).toEqual([]);
  });

  it.each<LogEvent>([
    turnStarted(10),
    turnCompleted(10),
    turnFailed(10),
    turnCancelled(10),
    turnUndelivered(),
    surfaceAttached(),
    surfaceDetached(),
    surfaceAcknowledged(1),
    sessionExported(id(1)),
  ])('does not come to be by $type', (event) => {
    expect(given().whenLogged(event)).toMatchObject({
      state: { phase: 'unopened', epoch: 0 },
      changes: [],
      poke: [],
    });
  });

  it('that an adopter gave up before it was opened is not opened by the late opener [A6]', () => {
    const { state, changes } = given(turnAdopted(20)).whenLogged(...opened);
    expect(state).toEqual({ phase: 'unopened', epoch: 20 });
    expect(changes).toEqual([]);
  });

  it('that was opened just before its adopter came goes on with him', () => {
    const { session } = given(...opened).whenLogged(turnAdopted(20));
    expect(session).toMatchObject({ epoch: 20, turn: { turnId: TURN, epoch: 20, adoptions: 1 } });
  });
});

describe('owned events [A3]', () => {
  it('of a lower epoch do not count', () => {
    const { state } = given(...opened, turnAdopted(20));
    for (const late of [
      turnStarted(15, { turn: OTHER_TURN }),
      turnAdopted(15),
      turnCompleted(10),
      turnFailed(10),
      turnCancelled(10),
    ]) {
      expect(given(...opened, turnAdopted(20)).whenLogged(late)).toMatchObject({
        state,
        changes: [],
        poke: [],
      });
    }
  });

  it('that start or adopt must be above the session’s epoch, not at it', () => {
    const log = given(...completed);
    expect(log.whenLogged(turnStarted(10, { turn: OTHER_TURN })).state).toEqual(log.state);
    expect(log.whenLogged(turnAdopted(10, { turn: OTHER_TURN })).state).toEqual(log.state);
  });

  it('that end a turn must be of its own attempt', () => {
    const log = given(...opened);
    expect(log.whenLogged(turnCompleted(11)).state).toEqual(log.state);
    expect(log.whenLogged(turnCompleted(10, { turn: OTHER_TURN })).state).toEqual(log.state);
  });

  it('end a turn once: the first end in the log wins', () => {
    const log = given(...opened, turnFailed(10));
    expect(log.whenLogged(turnCompleted(10))).toMatchObject({ state: log.state, changes: [] });
  });

  it('do not end a turn once the epoch was raised beyond its attempt, for whatever turn that was', () => {
    const log = given(...opened, turnAdopted(20, { turn: OTHER_TURN }));
    expect(log.session.turn).toMatchObject({ turnId: TURN, epoch: 10 });
    expect(log.whenLogged(turnCompleted(10)).state).toEqual(log.state);
    expect(log.whenLogged(turnAdopted(30), turnCompleted(30)).session.steps).toBe(1);
  });
});

describe('an adoption', () => {
  it('makes the attempt the adopter’s: the old runner’s end does not count, the new one’s does', () => {
    const log = given(...opened, turnAdopted(20, { runner: processAt(7) }));
    expect(log.session.turn).toMatchObject({
      epoch: 20,
      runner: processAt(7),
      adoptions: 1,
      number: 1,
    });
    const { session, changes } = log.whenLogged(turnCompleted(10), turnCompleted(20));
    expect(session.turn).toBeNull();
    expect(changes).toHaveLength(1);
  });

  it.each([
    ['an unknown turn', OTHER_TURN],
    ['an ended turn', TURN],
  ])('of %s raises the epoch and does nothing else', (_what, turn) => {
    const log = given(...completed);
    const { state, changes, poke } = log.whenLogged(turnAdopted(20, { turn, at: instant(5) }));
    expect(state).toEqual({ ...log.state, epoch: 20, updatedAt: instant(5) });
    expect({ changes, poke }).toEqual({ changes: [], poke: [] });
  });

  it('is counted, and tells the surface that a new attempt began', () => {
    const log = given(...opened, surfaceAttached(), turnAdopted(20), turnAdopted(30));
    expect(log.session.turn?.adoptions).toBe(2);
    expect(log.whenLogged(turnAdopted(40)).poke).toEqual([GATEWAY]);
  });
});

describe('a turn that is started at a higher epoch while one is open', () => {
  const log = given(...opened);
  const next = turnStarted(20, {
    turn: OTHER_TURN,
    keeps: 1,
    messages: [user('Again')],
    at: instant(9),
  });

  it('ends that one as cancelled, owed since nobody told its caller', () => {
    const { session, changes } = log.whenLogged(next);
    expect(changes).toEqual([
      expect.objectContaining({
        type: 'turn-ended',
        turnId: TURN,
        status: 'cancelled',
        seq: 1,
        endedAt: instant(9),
        errorCode: 'SBP_TURN_CANCELLED',
        superseded: true,
      }),
      expect.objectContaining({ type: 'turn-started', turnId: OTHER_TURN, number: 2, epoch: 20 }),
    ]);
    expect(session).toMatchObject({
      head: 1,
      turns: 2,
      steps: 0,
      turn: { turnId: OTHER_TURN },
      messages: 2,
    });
  });

  it('makes the late end of the superseded one count for nothing', () => {
    const { session } = log.whenLogged(next, turnCompleted(10));
    expect(session).toMatchObject({ steps: 0, turn: { turnId: OTHER_TURN } });
  });
});

describe('messages of the transcript', () => {
  it('are what a turn keeps, what it brings and what it answers', () => {
    const second = turnStarted(20, {
      turn: OTHER_TURN,
      keeps: 2,
      messages: [user('a'), user('b')],
    });
    expect(given(...completed).whenLogged(second).session.messages).toBe(4);
    const answer = turnCompleted(20, {
      turn: OTHER_TURN,
      messages: [assistant('c'), assistant('d')],
    });
    expect(given(...completed, second, answer).session.messages).toBe(6);
  });

  it('stay those of the request when a turn fails', () => {
    expect(given(...opened, turnFailed(10)).session.messages).toBe(1);
  });

  it('are never more than there are, whatever a turn says it keeps', () => {
    const { session } = given(...completed).whenLogged(
      turnStarted(20, { turn: OTHER_TURN, keeps: 99 }),
    );
    expect(session.messages).toBe(3);
  });
});

describe('the place of a turn in the transcript [A11]', () => {
  const second = (details: object) =>
    turnStarted(20, { turn: OTHER_TURN, messages: [user('a'), user('b')], ...details });

  it('is behind what it keeps, and ends behind what it brings and answers', () => {
    const log = given(...completed);
    expect(log.whenLogged(second({ after: 1, keeps: 2 })).changes).toEqual([
      expect.objectContaining({ firstIndex: 2, endIndex: 4, cuts: false }),
    ]);
    const end = turnCompleted(20, { turn: OTHER_TURN });
    expect(log.whenLogged(second({ after: 1, keeps: 2 }), end).changes).toContainEqual(
      expect.objectContaining({ type: 'turn-ended', endIndex: 5 }),
    );
  });

  it('is in place of what an edit cuts, in messages and bytes', () => {
    const { changes, session } = given(...completed).whenLogged(
      second({ after: 1, keeps: 1, keptBytes: 7 }),
    );
    expect(changes).toEqual([expect.objectContaining({ firstIndex: 1, endIndex: 3, cuts: true })]);
    expect(session).toMatchObject({
      messages: 3,
      bytes: 7 + messageBytes([user('a'), user('b')]),
    });
  });

  it('is at the end where its writer had not seen the last turn, so that it cuts nothing', () => {
    const { changes, session } = given(...completed).whenLogged(
      second({ after: 0, keeps: 0, keptBytes: 0 }),
    );
    expect(changes).toEqual([expect.objectContaining({ firstIndex: 2, endIndex: 4, cuts: false })]);
    const all = [user('Hello'), assistant('Hi.'), user('a'), user('b')];
    expect(session).toMatchObject({ messages: 4, bytes: messageBytes(all) });
  });
});

describe('system messages', () => {
  it('in force are those of the last turn that brought some', () => {
    const system = [{ role: 'system' as const, content: 'Be brief.' }];
    const log = given(...completed);
    expect(log.session.systemTurn).toBe(0);
    const start = turnStarted(20, { turn: OTHER_TURN, system });
    const { changes, session } = log.whenLogged(start);
    expect(session.systemTurn).toBe(2);
    expect(changes).toEqual([expect.objectContaining({ systemTurn: 2 })]);
    expect(log.whenLogged(start, turnStarted(30, { turn: id(9) })).session.systemTurn).toBe(2);
  });
});

describe('the end of the transcript', () => {
  it('is unanswered while its turn failed or was cancelled, and no other has started', () => {
    const asked = [user('a'), user('b')];
    const failed = given(sessionOpened(10), turnStarted(10, { messages: asked }), turnFailed(10));
    expect(failed.session.unanswered).toBe(2);
    expect(failed.whenLogged(turnStarted(20, { turn: OTHER_TURN })).session.unanswered).toBe(0);
    expect(given(...completed).session.unanswered).toBe(0);
  });
});

describe('what a session costs', () => {
  it('is the sum of its turns, and unknown once it is not known of one', () => {
    const next = turnStarted(20, { turn: OTHER_TURN });
    const end = turnCompleted(20, { turn: OTHER_TURN });
    expect(given(...completed, next, end).session.costUsd).toBe(0.5);
    const unpriced = { ...end, data: { ...end.data, cost_usd: null } };
    expect(given(...completed, next, unpriced).session.costUsd).toBeNull();
  });
});

describe('a checkpoint', () => {
  it('is the last completed turn that took one', () => {
    const log = given(...opened, turnCompleted(10, { snapshot: id(7), at: instant(3) }));
    const checkpoint = { snapshotId: id(7), at: instant(3), step: 1 };
    expect(log.session.checkpoint).toEqual(checkpoint);
    const next = [turnStarted(20, { turn: OTHER_TURN }), turnCompleted(20, { turn: OTHER_TURN })];
    expect(log.whenLogged(...next).session.checkpoint).toEqual(checkpoint);
  });
});

// [SBP-L2-10] [SBP-L2-11] [SBP-L2-13]
describe('what is owed to surfaces', () => {
  const surfaces = {
    never: [],
    attached: [surfaceAttached()],
    detached: [surfaceAttached(), surfaceDetached()],
  };

  it.each<[CallerPresence, keyof typeof surfaces, TurnStatus, boolean]>([
    ['connected', 'never', 'completed', false],
    ['connected', 'never', 'failed', false],
    ['connected', 'never', 'cancelled', false],
    ['connected', 'attached', 'completed', true],
    ['connected', 'attached', 'failed', true],
    ['connected', 'attached', 'cancelled', true],
    ['connected', 'detached', 'completed', true],
    ['connected', 'detached', 'failed', false],
    ['connected', 'detached', 'cancelled', false],
    ['gone', 'never', 'completed', true],
    ['gone', 'never', 'failed', true],
    ['gone', 'never', 'cancelled', true],
    ['gone', 'attached', 'completed', true],
    ['gone', 'attached', 'failed', true],
    ['gone', 'attached', 'cancelled', true],
    ['gone', 'detached', 'completed', true],
    ['gone', 'detached', 'failed', true],
    ['gone', 'detached', 'cancelled', true],
  ])('caller %s, surface %s, turn %s: %s', (caller, surface, status, owed) => {
    const { session, changes } = given(...opened, ...surfaces[surface]).whenLogged(
      ends[status](10, { caller }),
    );
    expect(changes).toEqual([
      expect.objectContaining({ type: 'turn-ended', status, seq: owed ? 1 : null }),
    ]);
    expect(queuedTurns(session)).toBe(owed ? 1 : 0);
    expect(session.unowed).toEqual(owed ? [] : [{ turnId: TURN, number: 1 }]);
  });

  it('is decided by what stands before the turn’s end in the log, not by what follows', () => {
    expect(given(...completed, surfaceAttached()).session.head).toBe(0);
    expect(given(...opened, surfaceAttached(), turnCompleted(10)).session.head).toBe(1);
  });

  it('says what came of the turn', () => {
    const done = turnCompleted(10, { snapshot: id(7), at: instant(3) });
    expect(given(...opened).whenLogged(done).changes).toEqual([
      {
        type: 'turn-ended',
        turnId: TURN,
        number: 1,
        status: 'completed',
        endedAt: instant(3),
        seq: null,
        endIndex: 2,
        modelUsed: 'demo-1',
        usage: { prompt_tokens: 3, completion_tokens: 2 },
        costUsd: 0.25,
        snapshotId: id(7),
        errorCode: null,
        superseded: false,
        steps: 1,
        sessionCostUsd: 0.25,
      },
    ]);
    expect(given(...opened).whenLogged(turnFailed(10)).changes).toEqual([
      expect.objectContaining({
        status: 'failed',
        errorCode: FAILURE.code,
        endIndex: 1,
        modelUsed: null,
        costUsd: null,
        steps: 0,
      }),
    ]);
  });
});

describe('an undelivered answer', () => {
  it('gets the next seq, once', () => {
    const { session, changes, poke } = given(...completed).whenLogged(
      turnUndelivered(),
      turnUndelivered(),
    );
    expect(changes).toEqual([{ type: 'turn-owed', turnId: TURN, number: 1, seq: 1 }]);
    expect(session).toMatchObject({ head: 1, unowed: [] });
    expect(poke).toEqual([]);
  });

  it('changes nothing where the turn is owed anyway, still open, or unknown', () => {
    for (const log of [given(...opened, turnCompleted(10, { caller: 'gone' })), given(...opened)]) {
      expect(log.whenLogged(turnUndelivered())).toMatchObject({ state: log.state, changes: [] });
      expect(log.whenLogged(turnUndelivered(id(77)))).toMatchObject({
        state: log.state,
        changes: [],
      });
    }
  });

  it('goes to the surface that is there by now', () => {
    const { poke } = given(...completed, surfaceAttached()).whenLogged(turnUndelivered());
    expect(poke).toEqual([GATEWAY]);
  });
});

describe('an attachment', () => {
  const attached = [
    ...completed,
    surfaceAttached(ATTACH, { at: instant(4), context: { locale: 'de' } }),
  ];

  it('is the session’s surface, with the gateway that holds it', () => {
    const { session, poke } = given(...completed).whenLogged(...attached.slice(3));
    expect(session.surface).toEqual({
      type: 'attached',
      attachment: {
        attachId: ATTACH,
        gateway: GATEWAY,
        context: { locale: 'de' },
        attachedAt: instant(4),
      },
    });
    expect(poke).toEqual([GATEWAY]);
  });

  it('is taken over by a later one: both gateways are told', () => {
    const other = surfaceAttached(OTHER_ATTACH, { gateway: processAt(5), at: instant(6) });
    const { session, poke } = given(...attached).whenLogged(other);
    expect(session.surface).toMatchObject({ attachment: { attachId: OTHER_ATTACH } });
    expect(session.takeovers).toEqual([instant(6)]);
    expect(poke).toEqual([GATEWAY, processAt(5)]);
  });

  it('is not ended, nor acknowledged for, by one that was replaced', () => {
    const log = given(
      ...attached,
      turnStarted(20, { turn: OTHER_TURN }),
      turnCompleted(20, { turn: OTHER_TURN }),
      surfaceAttached(OTHER_ATTACH),
    );
    const late = log.whenLogged(surfaceDetached(ATTACH), surfaceAcknowledged(1, ATTACH));
    expect(late).toMatchObject({ state: log.state, changes: [], poke: [] });
    expect(log.whenLogged(surfaceAcknowledged(1, OTHER_ATTACH)).session.cursor).toBe(1);
    expect(log.whenLogged(surfaceDetached(OTHER_ATTACH)).session.surface).toEqual({
      type: 'detached',
    });
  });

  it('does not come back by a late copy of its attach', () => {
    const log = given(...attached, surfaceDetached());
    expect(log.session.surface).toEqual({ type: 'detached' });
    expect(log.whenLogged(surfaceAttached(ATTACH)).state).toEqual(log.state);
  });

  it('that ends is told to its gateway, which may hold the socket still', () => {
    expect(given(...attached).whenLogged(surfaceDetached()).poke).toEqual([GATEWAY]);
  });

  it('after a detach is no takeover', () => {
    const { session } = given(...attached, surfaceDetached()).whenLogged(
      surfaceAttached(OTHER_ATTACH),
    );
    expect(session.takeovers).toEqual([]);
  });

  it('with no context at all counts as an empty one', () => {
    const bare = surfaceAttached();
    const { session } = given(...completed).whenLogged({
      ...bare,
      data: { ...bare.data, context: null },
    });
    expect(session.surface).toMatchObject({ attachment: { context: {} } });
  });
});

describe('an acknowledgement', () => {
  const owed = [
    ...opened,
    surfaceAttached(),
    turnCompleted(10, { at: instant(1) }),
    turnStarted(20, { turn: OTHER_TURN, at: instant(1) }),
    turnCompleted(20, { turn: OTHER_TURN, at: instant(1) }),
  ];

  it('moves the cursor up to what it names', () => {
    const log = given(...owed);
    expect(queuedTurns(log.session)).toBe(2);
    const first = log.whenLogged(surfaceAcknowledged(1)).session;
    expect([first.cursor, queuedTurns(first)]).toEqual([1, 1]);
    expect(queuedTurns(log.whenLogged(surfaceAcknowledged(2)).session)).toBe(0);
  });

  it('never moves it back, and never past what exists', () => {
    const log = given(...owed, surfaceAcknowledged(2, ATTACH, { at: instant(2) }));
    expect(log.whenLogged(surfaceAcknowledged(1, ATTACH, { at: instant(7) })).state).toEqual(
      log.state,
    );
    expect(log.whenLogged(surfaceAcknowledged(3, ATTACH, { at: instant(7) })).state).toEqual(
      log.state,
    );
  });

  it('of no surface, or of an unknown one, counts for nothing', () => {
    const log = given(...owed);
    expect(log.whenLogged(surfaceAcknowledged(1, OTHER_ATTACH)).state).toEqual(log.state);
    const gone = given(...owed, surfaceDetached());
    expect(gone.whenLogged(surfaceAcknowledged(1)).state).toEqual(gone.state);
  });
});

describe('an export', () => {
  it('is noted with its time and leaves the session as it is', () => {
    const log = given(...completed);
    const exported = sessionExported(id(5), { at: instant(8) });
    expect(log.whenLogged(exported)).toMatchObject({
      state: log.state,
      changes: [{ type: 'session-exported', data: exported.data, at: instant(8) }],
      poke: [],
    });
  });
});

describe('the surface’s gateway', () => {
  it('is told of each start and end of a turn', () => {
    const log = given(...completed, surfaceAttached());
    const start = turnStarted(20, { turn: OTHER_TURN });
    const end = turnCompleted(20, { turn: OTHER_TURN });
    expect(log.whenLogged(start).poke).toEqual([GATEWAY]);
    expect(log.whenLogged(start, end).poke).toEqual([GATEWAY, GATEWAY]);
    expect(log.whenLogged(surfaceAcknowledged(1)).poke).toEqual([]);
  });
});
