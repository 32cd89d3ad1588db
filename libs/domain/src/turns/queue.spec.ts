import { describe, expect, it } from 'vitest';
import type { LogEvent } from '#libs/protocol';
import {
  OTHER_TURN,
  RUNNER,
  TURN,
  given,
  id,
  processAt,
  sessionOpened,
  surfaceAttached,
  turnCancelled,
  turnCompleted,
  turnQueued,
  turnStarted,
  turnWithdrawn,
  user,
} from '#libs/domain/testing';
import { evolve } from '../evolve.js';
import type { OpenSession } from '../session-state.js';
import { MAX_WAITING, endedTurns, startedTurns } from './queue.js';

const HOLDER = processAt(7);
const running = [sessionOpened(10), turnStarted(10)];
const queued = (turn: string, holder = HOLDER) => turnQueued({ turn, holder });

const folded = (...events: readonly LogEvent[]) => given().whenLogged(...events);
const open = (...events: readonly LogEvent[]): OpenSession => given(...events).session;

// [SBP-L1-63]
describe('the queue of a session [A14]', () => {
  it('has turns in the order of the log, each once', () => {
    const first = queued(OTHER_TURN);
    const state = open(...running, first, queued(id(3)), first, queued(TURN));
    expect(state.waiting.map(({ turnId }) => turnId)).toEqual([OTHER_TURN, id(3)]);
    expect(state.waiting.map(({ place }) => place)).toEqual([1, 2]);
  });

  it('takes no more than a hundred, and forgets nothing of those', () => {
    const many = Array.from({ length: MAX_WAITING + 1 }, (_, at) => queued(id(100 + at)));
    const state = open(...running, ...many);
    expect(state.waiting).toHaveLength(MAX_WAITING);
    expect(state.waiting.at(-1)?.turnId).toBe(id(99 + MAX_WAITING));
  });

  it('is left by a turn that starts, which then is the open one', () => {
    const started = turnStarted(20, { turn: OTHER_TURN, entry: 'queued', after: 1 });
    const state = open(...running, queued(OTHER_TURN), turnCompleted(10), started);
    expect(state).toMatchObject({ waiting: [], turn: { turnId: OTHER_TURN, number: 2 } });
  });

  it('lets no turn start that was withdrawn before, and raises the epoch all the same', () => {
    const started = turnStarted(20, { turn: OTHER_TURN, entry: 'queued', after: 1 });
    const withdrawn = turnWithdrawn({ turn: OTHER_TURN });
    const before = [...running, queued(OTHER_TURN), turnCompleted(10), withdrawn];
    expect(open(...before, started)).toMatchObject({ turn: null, epoch: 20 });
  });

  it('gives a turn that was withdrawn a number, and no message', () => {
    const { state, changes } = folded(
      ...running,
      queued(OTHER_TURN),
      turnWithdrawn({ turn: OTHER_TURN }),
    );
    expect(state).toMatchObject({ waiting: [], turns: 2, messages: 1, turn: { number: 1 } });
    expect(changes.at(-1)).toMatchObject({
      type: 'turn-withdrawn',
      number: 2,
      place: 1,
      status: 'cancelled',
      index: 1,
    });
    expect([startedTurns(state as OpenSession), endedTurns(state as OpenSession)]).toEqual([1, 0]);
  });

  it('owes a surface the end of a turn that was withdrawn', () => {
    const withdrawn = turnWithdrawn({ turn: OTHER_TURN });
    const attached = [...running, surfaceAttached(), queued(OTHER_TURN)];
    expect(open(...attached, withdrawn)).toMatchObject({ head: 1 });
    expect(open(...running, queued(OTHER_TURN), withdrawn)).toMatchObject({ head: 0 });
    const alone = turnWithdrawn({ turn: OTHER_TURN, caller: 'gone' });
    expect(open(...running, queued(OTHER_TURN), alone)).toMatchObject({ head: 1 });
  });

  it('ends a turn that could not be started as failed', () => {
    const withdrawn = turnWithdrawn({ turn: OTHER_TURN, code: 'SBP_PAYLOAD_TOO_LARGE' });
    const { changes } = folded(...running, queued(OTHER_TURN), withdrawn);
    expect(changes.at(-1)).toMatchObject({ status: 'failed', errorCode: 'SBP_PAYLOAD_TOO_LARGE' });
  });

  it('keeps nothing of a turn whose caller was told that nothing had begun', () => {
    const forgotten = turnWithdrawn({ turn: OTHER_TURN, code: null });
    const { state, changes } = folded(...running, surfaceAttached(), queued(OTHER_TURN), forgotten);
    expect(state).toMatchObject({ waiting: [], turns: 1, head: 0 });
    expect(changes.at(-1)).toEqual({ type: 'turn-forgotten', turnId: OTHER_TURN, place: 1 });
    expect(open(...running, queued(OTHER_TURN), forgotten, queued(OTHER_TURN)).waiting).toEqual([]);
  });

  it('takes no turn that was withdrawn before it came', () => {
    const state = open(...running, turnWithdrawn({ turn: OTHER_TURN }), queued(OTHER_TURN));
    expect(state.waiting).toEqual([]);
    expect(state.turns).toBe(1);
  });

  it('does not end a turn that has started by withdrawing it', () => {
    expect(open(...running, turnWithdrawn()).turn).toMatchObject({ turnId: TURN });
  });

  it('ends all that wait where a turn interrupts, and none that comes later', () => {
    const started = turnStarted(21, { turn: id(9), entry: 'interrupt', after: 1 });
    const { state, changes } = folded(
      ...running,
      queued(OTHER_TURN),
      queued(id(3)),
      turnCancelled(20),
      started,
      queued(id(4)),
    );
    expect(state).toMatchObject({ turn: { turnId: id(9), number: 4 }, turns: 4 });
    expect((state as OpenSession).waiting.map(({ turnId }) => turnId)).toEqual([id(4)]);
    const ends = changes.filter((change) => change.type === 'turn-withdrawn');
    expect(ends.map(({ turnId }) => turnId)).toEqual([OTHER_TURN, id(3)]);
    expect(ends.every(({ superseded }) => superseded)).toBe(true);
  });

  it('does not make an edit stale that was begun before another turn was withdrawn', () => {
    const before = [...running, queued(OTHER_TURN), turnCompleted(10)];
    const edit = { turn: id(9), after: 1, keeps: 0, messages: [user('Else')] };
    const state = open(...before, turnWithdrawn({ turn: OTHER_TURN }), turnStarted(20, edit));
    expect(state.messages).toBe(1);
  });
});

describe('who is poked because of a queue', () => {
  const poked = (state: OpenSession, event: Parameters<typeof evolve>[1]) =>
    evolve(state, event).poke;

  it('is the holder of its head, when nothing runs any more', () => {
    const waiting = open(...running, queued(OTHER_TURN), queued(id(3), processAt(8)));
    expect(poked(waiting, turnCompleted(10))).toEqual([HOLDER]);
    expect(poked(open(...running, turnCompleted(10)), queued(OTHER_TURN))).toEqual([HOLDER]);
    expect(poked(open(...running), queued(OTHER_TURN))).toEqual([]);
  });

  it('is whoever holds a turn that waits no more, unless he starts it himself', () => {
    const waiting = open(...running, queued(OTHER_TURN), turnCompleted(10));
    const start = { turn: OTHER_TURN, entry: 'queued', after: 1 } as const;
    expect(poked(waiting, turnStarted(20, { ...start, runner: RUNNER }))).toEqual([HOLDER]);
    expect(poked(waiting, turnStarted(20, { ...start, runner: HOLDER }))).toEqual([]);
    expect(poked(waiting, turnWithdrawn({ turn: OTHER_TURN }))).toEqual([HOLDER]);
    const next = open(...running, queued(OTHER_TURN), queued(id(3), processAt(8)));
    const ended = { ...next, turn: null };
    expect(poked(ended, turnWithdrawn({ turn: OTHER_TURN }))).toEqual([HOLDER, processAt(8)]);
  });
});
