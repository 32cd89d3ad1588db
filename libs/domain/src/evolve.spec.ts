import { describe, expect, it } from 'vitest';
import type { LogEvent } from '#libs/protocol';
import {
  GATEWAY,
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
import { messageBytes } from './transcript/message-bytes.js';

const opened = [sessionOpened(10), turnStarted(10)] as const;
const completed = [...opened, turnCompleted(10)] as const;

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

  it.each([turnAdopted(20), turnCancelled(20)])(
    'that was given up by $type before it was opened is not opened by the late opener [A6]',
    (event) => {
      const { state, changes } = given(event).whenLogged(...opened);
      expect(state).toEqual({ phase: 'unopened', epoch: 20 });
      expect(changes).toEqual([]);
    },
  );

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

describe('a cancellation by whoever took the claim [A13]', () => {
  it('ends the open turn, at its own epoch: what its runner states then does not count', () => {
    const log = given(...opened).whenLogged(turnCancelled(20, { caller: 'gone' }));
    expect(log.session).toMatchObject({ epoch: 20, turn: null, steps: 0, messages: 1 });
    expect(log.changes).toMatchObject([
      { type: 'turn-ended', turnId: TURN, epoch: 20, status: 'cancelled' },
    ]);
    const state = given(...opened, turnCancelled(20));
    expect(state.whenLogged(turnCompleted(10))).toMatchObject({ state: state.state, changes: [] });
  });

  it('of a turn that has ended changes no end, and raises the epoch', () => {
    const log = given(...completed).whenLogged(turnCancelled(20));
    expect(log.session).toMatchObject({ epoch: 20, steps: 1 });
    expect(log.changes).toEqual([]);
  });

  it('leaves another open turn alone, but for the epoch', () => {
    const log = given(...opened).whenLogged(turnCancelled(20, { turn: OTHER_TURN }));
    expect(log.session).toMatchObject({ epoch: 20, turn: { turnId: TURN, epoch: 10 } });
    expect(log.changes).toEqual([]);
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

// [SBP-L1-28]
describe('messages of a turn that failed', () => {
  const refusedWith = (upstreamStatus: number | null, reachedModel = true) => {
    const told = { reachedModel, upstreamStatus };
    return given(...opened).whenLogged(turnFailed(10, told)).changes;
  };

  it.each([400, 401, 413, 422])('are refused where the model answered %d', (status) => {
    expect(refusedWith(status)).toMatchObject([{ type: 'turn-ended', refused: true }]);
  });

  it.each([null, 200, 408, 409, 425, 429, 500, 503])('are not where it answered %s', (status) => {
    expect(refusedWith(status)).toMatchObject([{ type: 'turn-ended', refused: false }]);
  });

  it('are not where another than the model answered, or the turn was cancelled', () => {
    expect(refusedWith(400, false)).toMatchObject([{ refused: false }]);
    const { changes } = given(...opened).whenLogged(turnCancelled(10));
    expect(changes).toMatchObject([{ refused: false }]);
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
