import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LogEvent, Message } from '#libs/protocol';
import type { Move } from '#libs/domain/testing';
import { fold, randomLog, user } from '#libs/domain/testing';
import type { Change } from './changes.js';
import { evolve } from './evolve.js';
import type { TurnEntry } from './turns/decide-turns.js';
import { MAX_WAITING, startedTurns } from './turns/queue.js';
import type { OpenSession, SessionState } from './session-state.js';
import { REMEMBERED, TAKEOVER_LIMIT, initialState } from './session-state.js';

const back = fc.nat({ max: 6 });
const often = <T>(arbitrary: fc.Arbitrary<T>, weight: number) => ({ arbitrary, weight });

const move: fc.Arbitrary<Move> = fc.oneof(
  often(
    fc.record({
      type: fc.constant('start' as const),
      stale: fc.boolean(),
      unseen: fc.boolean(),
      keeps: fc.nat({ max: 8 }),
      messages: fc.nat({ max: 3 }),
      system: fc.boolean(),
      entry: fc.constantFrom<TurnEntry>('at-once', 'at-once', 'queued', 'queued', 'interrupt'),
      waited: fc.constantFrom(undefined, undefined, 0, 2),
    }),
    3,
  ),
  often(fc.record({ type: fc.constant('queue' as const), holder: fc.nat({ max: 2 }) }), 3),
  often(
    fc.record({
      type: fc.constant('withdraw' as const),
      turn: fc.nat({ max: 4 }),
      known: fc.constantFrom(true, true, true, false),
      forgotten: fc.boolean(),
    }),
    1,
  ),
  often(
    fc.record({ type: fc.constant('stop' as const), stale: fc.boolean(), attempt: fc.nat(5) }),
    1,
  ),
  often(
    fc.record({ type: fc.constant('adopt' as const), stale: fc.boolean(), known: fc.boolean() }),
    2,
  ),
  often(
    fc.record({
      type: fc.constant('end' as const),
      how: fc.constantFrom('completed' as const, 'failed' as const, 'cancelled' as const),
      attempt: fc.nat({ max: 2 }),
      caller: fc.constantFrom('connected' as const, 'gone' as const),
      snapshot: fc.boolean(),
    }),
    5,
  ),
  often(fc.record({ type: fc.constant('undelivered' as const), turn: back }), 2),
  often(
    fc.record({
      type: fc.constant('live' as const),
      to: fc.constantFrom('running', 'suspended', 'suspended', 'running', 'completed', 'failed'),
      stale: fc.boolean(),
    }),
    1,
  ),
  often(
    fc.record({
      type: fc.constant('consume' as const),
      export: fc.nat({ max: 2 }),
      revoked: fc.boolean(),
    }),
    1,
  ),
  often(fc.record({ type: fc.constant('hand-off' as const), stale: fc.boolean() }), 1),
  often(
    fc.record({
      type: fc.constant('restore' as const),
      parts: fc.integer({ min: 1, max: 3 }),
      note: fc.boolean(),
    }),
    2,
  ),
  often(fc.record({ type: fc.constant('revoke' as const), generation: fc.nat({ max: 3 }) }), 1),
  often(
    fc.record({
      type: fc.constant('attach' as const),
      gateway: fc.nat({ max: 2 }),
      tools: fc.boolean(),
    }),
    2,
  ),
  often(fc.record({ type: fc.constant('detach' as const), attach: fc.nat({ max: 2 }) }), 1),
  often(
    fc.record({
      type: fc.constant('acknowledge' as const),
      attach: fc.nat({ max: 1 }),
      seq: fc.nat(),
    }),
    2,
  ),
  often(
    fc.record({
      type: fc.constant('call' as const),
      attempt: fc.constantFrom(0, 0, 0, 1),
      calls: fc.integer({ min: 1, max: 3 }),
      how: fc.constantFrom('fail', 'fail', 'wait', 'approval', 'refused'),
    }),
    3,
  ),
  often(fc.record({ type: fc.constant('return' as const), call: fc.nat({ max: 3 }) }), 4),
  often(
    fc.record({
      type: fc.constant('decide' as const),
      call: fc.nat({ max: 3 }),
      approved: fc.boolean(),
    }),
    4,
  ),
  often(fc.record({ type: fc.constant('park' as const), attempt: fc.nat({ max: 1 }) }), 4),
  often(fc.record({ type: fc.constant('client-call' as const), attach: fc.nat({ max: 1 }) }), 4),
  often(fc.record({ type: fc.constant('export' as const) }), 1),
  often(fc.record({ type: fc.constant('copy' as const), event: fc.nat() }), 1),
);

const log = fc.array(move, { minLength: 1, maxLength: 60 }).map((moves) => randomLog(moves));

/** The state after each event, beginning with the state before any. */
function states(events: readonly LogEvent[]): readonly SessionState[] {
  return events.reduce<SessionState[]>(
    (all, event) => [...all, evolve(all.at(-1) ?? initialState, event).state],
    [initialState],
  );
}

function pairs<T>(list: readonly T[]): readonly (readonly [T, T])[] {
  return list.slice(1).map((next, index) => [list[index] as T, next]);
}

/** Changes as they end up in tables: an export that is written once more is the same row. */
function written(changes: readonly Change[]): readonly Change[] {
  const exports = new Set<string>();
  return changes.filter((change) => {
    if (change.type !== 'session-exported') return true;
    const isNew = !exports.has(change.data.export_id);
    exports.add(change.data.export_id);
    return isNew;
  });
}

function of<T extends Change['type']>(
  changes: readonly Change[],
  type: T,
): readonly Extract<Change, { type: T }>[] {
  return changes.filter((change): change is Extract<Change, { type: T }> => change.type === type);
}

describe('the fold of any log', () => {
  it('is left as it is by a late copy of any event, wherever it comes [A4]', () => {
    fc.assert(
      fc.property(log, fc.nat(), fc.nat(), (events, copied, later) => {
        fc.pre(events.length > 0);
        const index = copied % events.length;
        const place = index + 1 + (later % (events.length - index));
        const repeated = [
          ...events.slice(0, place),
          events[index] as LogEvent,
          ...events.slice(place),
        ];
        const [once, twice] = [fold(events), fold(repeated)];
        expect(twice.state).toEqual(once.state);
        expect(written(twice.changes)).toEqual(written(once.changes));
      }),
      { numRuns: 600 },
    );
  });

  it('is the same when a whole stretch of the log comes again', () => {
    fc.assert(
      fc.property(log, fc.nat(), fc.nat(), (events, from, length) => {
        fc.pre(events.length > 0);
        const start = from % events.length;
        const end = Math.min(events.length, start + 1 + (length % 20));
        const repeated = [
          ...events.slice(0, end),
          ...events.slice(start, end),
          ...events.slice(end),
        ];
        expect(fold(repeated).state).toEqual(fold(events).state);
        expect(written(fold(repeated).changes)).toEqual(written(fold(events).changes));
      }),
      { numRuns: 300 },
    );
  });

  it('is the same when its state was stored as JSON in between', () => {
    fc.assert(
      fc.property(log, (events) => {
        const stored = events.reduce<SessionState>(
          (state, event) => JSON.parse(JSON.stringify(evolve(state, event).state)) as SessionState,
          initialState,
        );
        expect(stored).toEqual(fold(events).state);
      }),
    );
  });

  it('has epochs, steps, turns, head and cursor that only rise, and a cursor that never passes the head', () => {
    fc.assert(
      fc.property(log, (events) => {
        for (const [before, after] of pairs(states(events))) {
          expect(after.epoch).toBeGreaterThanOrEqual(before.epoch);
          if (before.phase === 'unopened') continue;
          const session = after as OpenSession;
          for (const field of ['head', 'cursor', 'turns', 'steps'] as const) {
            expect(session[field]).toBeGreaterThanOrEqual(before[field]);
          }
          expect(session.cursor).toBeLessThanOrEqual(session.head);
          expect(session.phase).toBe('open');
        }
      }),
    );
  });

  // [SBP-L2-12]
  it('numbers what is owed densely, in log order, each turn at most once', () => {
    fc.assert(
      fc.property(log, (events) => {
        const { state, changes } = fold(events);
        const owed = changes.flatMap((change) =>
          (change.type === 'turn-ended' && change.seq !== null) ||
          (change.type === 'turn-withdrawn' && change.seq !== null) ||
          change.type === 'turn-owed'
            ? [{ turnId: change.turnId, seq: change.seq }]
            : [],
        );
        const head = state.phase === 'open' ? state.head : 0;
        expect(owed.map(({ seq }) => seq)).toEqual(
          Array.from({ length: head }, (_, index) => index + 1),
        );
        expect(new Set(owed.map(({ turnId }) => turnId)).size).toBe(head);
      }),
    );
  });

  it('ends each turn once, and leaves at most the last one open', () => {
    fc.assert(
      fc.property(log, (events) => {
        const { state, changes } = fold(events);
        const started = of(changes, 'turn-started').map(({ turnId }) => turnId);
        const ended = of(changes, 'turn-ended').map(({ turnId }) => turnId);
        const open = state.phase === 'open' && state.turn !== null ? [state.turn.turnId] : [];
        expect([...ended, ...open]).toEqual(started);
        // What was copied stands before the first turn, and has numbers as turns have.
        const copied = changes.flatMap((change) => {
          if (change.type === 'part-restored') return [change.data.part];
          return change.type === 'note-added' ? [change.number] : [];
        });
        const own = changes.flatMap((change) =>
          change.type === 'turn-started' || change.type === 'turn-withdrawn' ? [change.number] : [],
        );
        const numbers = [...copied, ...own];
        expect(numbers).toEqual(numbers.map((_, index) => index + 1));
        if (state.phase !== 'open') return;
        expect(state.turns).toBe(numbers.length);
        expect(startedTurns(state)).toBe(copied.length + started.length);
      }),
    );
  });

  it('counts the messages and bytes that its turns make together, and says where each stands', () => {
    fc.assert(
      fc.property(log, (events) => {
        // What a reader would see who applied each turn to the whole transcript.
        let transcript: Message[] = [];
        let state: SessionState = initialState;
        // By turn, how many messages its rounds have.
        const rounds = new Map<string, number>();
        for (const event of events) {
          const { changes, ...evolution } = evolve(state, event);
          state = evolution.state;
          for (const change of changes) {
            if (change.type === 'turn-started' && event.type === 'turn.started') {
              expect(change.cuts).toBe(change.firstIndex < transcript.length);
              transcript = [...transcript.slice(0, change.firstIndex), ...event.content.messages];
              expect(change.endIndex).toBe(transcript.length);
            }
            if (change.type === 'part-restored' && event.type === 'session.restored') {
              expect(change.data.first_index).toBe(transcript.length);
              transcript.push(...event.content.messages);
            }
            if (change.type === 'note-added') {
              expect(change.index).toBe(transcript.length);
              transcript.push(user(''));
            }
            if (change.type === 'tools-called') {
              const before = rounds.get(change.turnId) ?? 0;
              rounds.set(change.turnId, before + 1 + change.data.calls.length);
            }
            if (change.type === 'turn-ended') {
              const { messages = [] } = event.type === 'turn.completed' ? event.content : {};
              const called = messages.length === 0 ? 0 : (rounds.get(change.turnId) ?? 0);
              transcript.push(...Array.from({ length: called }, () => user('')), ...messages);
              expect(change.endIndex).toBe(transcript.length);
            }
          }
        }
        if (state.phase === 'unopened') return;
        expect(state.messages).toBe(transcript.length);
      }),
    );
  });

  it('cuts no turn that the writer of a start had not seen', () => {
    fc.assert(
      fc.property(log, (events) => {
        const all = states(events);
        for (const [index, event] of events.entries()) {
          const before = all[index];
          if (event.type !== 'turn.started' || before?.phase !== 'open') continue;
          const [started] = of(evolve(before, event).changes, 'turn-started');
          if (event.data.after !== startedTurns(before)) expect(started?.cuts ?? false).toBe(false);
        }
      }),
    );
  });

  it('gives what nobody holds at its epoch no effect: an owned event below the highest epoch changes nothing [A3]', () => {
    fc.assert(
      fc.property(log, (events) => {
        const all = states(events);
        for (const [index, event] of events.entries()) {
          const before = all[index] as SessionState;
          if ('epoch' in event && event.epoch < before.epoch) {
            expect(evolve(before, event)).toEqual({ state: before, changes: [], poke: [] });
          }
        }
      }),
      { numRuns: 600 },
    );
  });

  it('remembers a bounded number of ids', () => {
    fc.assert(
      fc.property(fc.array(move, { minLength: 250, maxLength: 400 }), (moves) => {
        const { state } = fold(randomLog(moves));
        if (state.phase === 'unopened') return;
        expect(state.attachIds.length).toBeLessThanOrEqual(REMEMBERED);
        expect(state.unowed.length).toBeLessThanOrEqual(REMEMBERED);
        expect(state.takeovers.length).toBeLessThanOrEqual(TAKEOVER_LIMIT);
        expect(state.waiting.length).toBeLessThanOrEqual(MAX_WAITING);
        expect(state.queuedIds.length).toBeLessThanOrEqual(128);
      }),
      { numRuns: 20 },
    );
  });

  // [SBP-L1-63]
  it('lets each queued turn start once, or end without that, or wait', () => {
    fc.assert(
      fc.property(log, (events) => {
        const { state, changes } = fold(events);
        const places = of(changes, 'turn-queued').map(({ place }) => place);
        const gone = changes.flatMap((change) =>
          change.type === 'turn-started' ||
          change.type === 'turn-withdrawn' ||
          change.type === 'turn-forgotten'
            ? [change.place]
            : [],
        );
        const left = gone.filter((place) => place !== null);
        const waiting = state.phase === 'open' ? state.waiting.map(({ place }) => place) : [];
        expect(waiting).toEqual([...waiting].sort((a, b) => a - b));
        expect([...left, ...waiting].sort((a, b) => a - b)).toEqual(places);
      }),
    );
  });

  it('pokes only who holds its surface, its turn, one that waits, or waits for a call', () => {
    fc.assert(
      fc.property(log, (events) => {
        const all = states(events);
        for (const [index, event] of events.entries()) {
          const holders = [all[index], all[index + 1]].flatMap((state) =>
            state?.phase === 'open'
              ? [
                  ...(state.surface.type === 'attached' ? [state.surface.attachment.gateway] : []),
                  ...(state.turn === null ? [] : [state.turn.runner]),
                  ...state.waiting.map(({ holder }) => holder),
                  ...state.calls.flatMap(({ by }) => (by.type === 'client' ? [by.caller] : [])),
                ]
              : [],
          );
          for (const gateway of evolve(all[index] ?? initialState, event).poke)
            expect(holders).toContainEqual(gateway);
        }
      }),
    );
  });
});
