import { describe, expect, it } from 'vitest';
import type { CallerPresence, TurnStatus } from '#libs/protocol';
import {
  ATTACH,
  FAILURE,
  GATEWAY,
  OTHER_ATTACH,
  OTHER_TURN,
  TURN,
  given,
  id,
  instant,
  processAt,
  sessionOpened,
  surfaceAcknowledged,
  surfaceAttached,
  surfaceDetached,
  turnCancelled,
  turnCompleted,
  turnFailed,
  turnStarted,
  turnUndelivered,
} from '#libs/domain/testing';
import { queuedTurns } from './tether.js';

const opened = [sessionOpened(10), turnStarted(10)] as const;
const completed = [...opened, turnCompleted(10)] as const;
const ends = { completed: turnCompleted, failed: turnFailed, cancelled: turnCancelled };

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
        epoch: 10,
        status: 'completed',
        endedAt: instant(3),
        seq: null,
        endIndex: 2,
        modelUsed: 'demo-1',
        usage: { prompt_tokens: 3, completion_tokens: 2 },
        costUsd: 0.25,
        snapshotId: id(7),
        errorCode: null,
        refused: false,
        superseded: false,
        unreached: false,
        rounds: 0,
        steps: 1,
        sessionCostUsd: 0.25,
        sessionBytes: expect.any(Number) as unknown,
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
