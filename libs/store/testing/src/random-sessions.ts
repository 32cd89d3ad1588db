import fc from 'fast-check';
import type { LogEvent } from '#libs/protocol';
import type { TurnEntry } from '#libs/domain';
import type { Move } from '#libs/domain/testing';
import { randomLog } from '#libs/domain/testing';

const often = <T>(weight: number, arbitrary: fc.Arbitrary<T>) => ({ weight, arbitrary });

/** A step of a session's history: mostly turns that succeed one another, edits among them. */
export const move: fc.Arbitrary<Move> = fc.oneof(
  often(
    6,
    fc.record({
      type: fc.constant('start' as const),
      stale: fc.constantFrom(false, false, false, true),
      unseen: fc.constantFrom(false, false, false, true),
      keeps: fc.oneof(fc.nat({ max: 8 }), fc.constant(1_000)),
      messages: fc.nat({ max: 3 }),
      system: fc.boolean(),
      entry: fc.constantFrom<TurnEntry>('at-once', 'at-once', 'at-once', 'queued', 'interrupt'),
      waited: fc.constantFrom(undefined, undefined, 0, 2),
    }),
  ),
  often(2, fc.record({ type: fc.constant('queue' as const), holder: fc.nat({ max: 2 }) })),
  often(
    1,
    fc.record({
      type: fc.constant('withdraw' as const),
      turn: fc.nat({ max: 4 }),
      known: fc.constantFrom(true, true, true, false),
      forgotten: fc.boolean(),
    }),
  ),
  often(
    4,
    fc.record({
      type: fc.constant('end' as const),
      how: fc.constantFrom('completed' as const, 'failed' as const, 'cancelled' as const),
      attempt: fc.constantFrom(0, 0, 0, 1),
      caller: fc.constantFrom('connected' as const, 'gone' as const),
      snapshot: fc.boolean(),
    }),
  ),
  often(
    1,
    fc.record({ type: fc.constant('stop' as const), stale: fc.boolean(), attempt: fc.nat(5) }),
  ),
  often(
    1,
    fc.record({ type: fc.constant('adopt' as const), stale: fc.boolean(), known: fc.boolean() }),
  ),
  often(1, fc.record({ type: fc.constant('undelivered' as const), turn: fc.nat({ max: 4 }) })),
  often(
    1,
    fc.record({
      type: fc.constant('live' as const),
      to: fc.constantFrom('running', 'suspended', 'running'),
      stale: fc.boolean(),
    }),
  ),
  often(
    1,
    fc.record({
      type: fc.constant('consume' as const),
      export: fc.nat({ max: 2 }),
      revoked: fc.boolean(),
    }),
  ),
  often(1, fc.record({ type: fc.constant('hand-off' as const), stale: fc.boolean() })),
  often(
    2,
    fc.record({
      type: fc.constant('restore' as const),
      parts: fc.integer({ min: 1, max: 3 }),
      note: fc.boolean(),
    }),
  ),
  often(1, fc.record({ type: fc.constant('revoke' as const), generation: fc.nat({ max: 3 }) })),
  often(
    2,
    fc.record({
      type: fc.constant('attach' as const),
      gateway: fc.nat({ max: 2 }),
      tools: fc.boolean(),
    }),
  ),
  often(1, fc.record({ type: fc.constant('detach' as const), attach: fc.nat({ max: 1 }) })),
  often(
    2,
    fc.record({ type: fc.constant('acknowledge' as const), attach: fc.constant(0), seq: fc.nat() }),
  ),
  often(
    3,
    fc.record({
      type: fc.constant('call' as const),
      attempt: fc.constantFrom(0, 0, 0, 1),
      calls: fc.integer({ min: 1, max: 3 }),
      how: fc.constantFrom('fail', 'fail', 'wait', 'approval', 'refused'),
    }),
  ),
  often(4, fc.record({ type: fc.constant('return' as const), call: fc.nat({ max: 3 }) })),
  often(
    4,
    fc.record({
      type: fc.constant('decide' as const),
      call: fc.nat({ max: 3 }),
      approved: fc.boolean(),
    }),
  ),
  often(4, fc.record({ type: fc.constant('park' as const), attempt: fc.nat({ max: 1 }) })),
  often(4, fc.record({ type: fc.constant('client-call' as const), attach: fc.nat({ max: 1 }) })),
  often(1, fc.record({ type: fc.constant('export' as const) })),
  often(2, fc.record({ type: fc.constant('copy' as const), event: fc.nat() })),
);

/**
 * Sessions whose events lie between one another's, cut into batches, the same for the same seed.
 */
export function randomBatches(seed: number): readonly (readonly LogEvent[])[] {
  const sessions = 3;
  const logs = fc.sample(fc.array(move, { minLength: 80, maxLength: 120 }), {
    seed,
    numRuns: sessions,
  });
  const queues = logs.map((moves, index) => [...randomLog(moves, index + 1)]);
  const cuts = fc.sample(fc.nat(), { seed, numRuns: 2_000 });
  const all: LogEvent[][] = [[]];
  for (const cut of cuts) {
    const event = queues[cut % sessions]?.shift();
    if (event !== undefined) all.at(-1)?.push(event);
    if (cut % 7 === 0) all.push([]);
  }
  for (const queue of queues) all.push(queue);
  return all;
}
