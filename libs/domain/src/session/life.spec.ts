import { describe, expect, it } from 'vitest';
import {
  ATTACH,
  OTHER_TURN,
  TURN,
  given,
  id,
  instant,
  sessionHandedOff,
  sessionLived,
  sessionOpened,
  surfaceAttached,
  surfaceDetached,
  tokensRevoked,
  turnCompleted,
  turnQueued,
  turnStarted,
} from '#libs/domain/testing';
import { shownLife, stepTo, suspendedAt } from './life.js';

const idle = given(sessionOpened(10));
const answered = [sessionOpened(10), turnStarted(10), turnCompleted(10)] as const;
const running = given(...answered);
const suspended = given(...answered, sessionLived('suspended', 20));
const completed = given(...answered, sessionLived('completed', 20));

describe('the life of a session', () => {
  // [SBP-L2-60]
  it('is shown as it is, and as suspended while its surface is gone', () => {
    const attached = given(...answered, surfaceAttached(ATTACH));
    const gone = given(...answered, surfaceAttached(ATTACH), surfaceDetached(ATTACH));
    const shown = [idle, running, suspended, completed, attached, gone].map(({ session }) => {
      const { status, reason } = shownLife(session);
      return [status, reason];
    });
    expect(shown).toEqual([
      ['idle', null],
      ['running', null],
      ['suspended', 'requested'],
      ['completed', null],
      ['running', null],
      ['suspended', 'surface_gone'],
    ]);
  });

  // [SBP-L2-67]
  it('tells when somebody suspended it by its status, and nothing else', () => {
    const at = instant(7);
    const once = given(...answered, sessionLived('suspended', 20, { at }));
    const handed = running.whenLogged(sessionHandedOff(20, { successor: id(1) }));
    const gone = given(...answered, surfaceAttached(ATTACH), surfaceDetached(ATTACH));
    const resumed = once.whenLogged(sessionLived('running', 30));
    const failed = once.whenLogged(sessionLived('failed', 30));
    expect(
      [once, handed, gone, resumed, failed].map(({ session }) => suspendedAt(session)),
    ).toEqual([Date.parse(at), null, null, null, null]);
  });

  // [SBP-L2-60]
  it('takes the steps of the contract, and no other', () => {
    const steps = (['running', 'suspended', 'completed', 'failed'] as const).map((to) =>
      [idle, running, suspended, completed].map(({ session }) => stepTo(session, to)),
    );
    expect(steps).toEqual([
      ['change', 'none', 'change', 'impossible'],
      ['change', 'change', 'none', 'impossible'],
      ['change', 'change', 'change', 'none'],
      ['change', 'change', 'change', 'impossible'],
    ]);
  });

  it('is not changed while a turn is open, nor when it has finished, nor later by that event', () => {
    const open = given(sessionOpened(10), turnStarted(10));
    const late = open.whenLogged(sessionLived('suspended', 20)).session;
    expect([late.life.type, late.epoch]).toEqual(['active', 20]);
    expect(completed.whenLogged(sessionLived('running', 30)).session.life.type).toBe('completed');
    const handed = completed.whenLogged(sessionHandedOff(30, { successor: id(1) }));
    expect(handed.changes).toEqual([]);
    const old = sessionLived('suspended', 15);
    const again = given(...answered, sessionLived('suspended', 20), sessionLived('running', 30));
    expect(again.whenLogged(old).session.life.type).toBe('active');
  });

  // [SBP-L2-60]
  it('ends what waits when it stops, and lets nothing wait', () => {
    const waiting = given(sessionOpened(10), turnQueued());
    const stopped = waiting.whenLogged(sessionLived('suspended', 20));
    expect(stopped.session.waiting).toEqual([]);
    expect(stopped.changes).toMatchObject([{ type: 'turn-withdrawn', status: 'cancelled' }]);
    const later = suspended.whenLogged(turnQueued({ turn: OTHER_TURN }));
    expect(later.session.waiting).toEqual([]);
    expect(later.session.queuedIds).not.toContain(OTHER_TURN);
  });

  // [SBP-L2-62]
  it('goes on by the turn that was started on purpose, in one append', () => {
    const decision = suspended.when({
      type: 'StartTurn',
      claim: { turnId: TURN, epoch: 30 },
      runner: { slot: 1, incarnation: id(1) },
      opener: { principal: 'anonymous', agentId: 'agent' },
      entry: 'at-once',
      request: {
        update: { keeps: 2, keptBytes: 0, messages: [], system: null },
        ...{ model: 'm', options: {}, checkpointEvery: 1, bodyHash: null, idempotencyKey: null },
        toolPolicy: { on_surface_lost: 'fail', wait_seconds: 1, approve: [] },
      },
    });
    const events = decision.type === 'events' ? decision.events : [];
    expect(events.map(({ type }) => type)).toEqual(['session.resumed', 'turn.started']);
    const { session } = suspended.whenLogged(...events);
    expect([session.life.type, session.turn?.turnId]).toEqual(['active', TURN]);
  });

  // [SBP-L3-30]
  it('is suspended by a handoff, which promises the session that it goes on as', () => {
    const { session, changes } = running.whenLogged(sessionHandedOff(20, { successor: id(1) }));
    expect(session.life).toEqual({
      ...{ type: 'suspended', reason: 'handoff', successor: id(1), agentId: 'other' },
    });
    expect(changes).toMatchObject([{ type: 'session-promised', successor: id(1), by: 'handoff' }]);
  });

  // [SBP-L2-66]
  it('counts a revocation of its tokens once, however many ask for it at once', () => {
    const { session } = running.whenLogged(tokensRevoked(1), tokensRevoked(1));
    expect(session.tokenGeneration).toBe(1);
    expect(given(...answered, tokensRevoked(2)).whenLogged(tokensRevoked(1)).session).toMatchObject(
      {
        tokenGeneration: 2,
      },
    );
  });
});
