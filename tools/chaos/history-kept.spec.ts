import { describe, expect, it } from 'vitest';
import type { Kept } from './history.js';
import { rulesBroken, violations, withFound } from './testing/example-history.js';

const USAGE: Kept['usage'] = { completed: 1, failed: 1, cancelled: 1 };
const TRAIL: Kept['trail'] = [
  { place: '3:0', type: 'turn.started', turnId: 'turn-a' },
  { place: '3:1', type: 'turn.completed', turnId: 'turn-a' },
  { place: '3:2', type: 'turn.completed', turnId: 'turn-a' },
  { place: '3:4', type: 'turn.failed', turnId: 'turn-b' },
  { place: '3:5', type: 'turn.withdrawn', turnId: 'turn-c' },
];

function keeping(change: Partial<Kept>) {
  const turns = [
    { turnId: 'turn-a', status: 'completed' },
    { turnId: 'turn-b', status: 'failed' },
    { turnId: 'turn-c', status: 'cancelled' },
  ];
  return { ...withFound({ turns }), kept: { usage: USAGE, trail: TRAIL, ...change } };
}

describe('what the consumers of the log keep', () => {
  it('is allowed where it has each end, also one that stands in the log twice', () => {
    expect(violations(keeping({}))).toEqual([]);
  });

  it('is allowed where it has the beginning of a turn that an interruption ended', () => {
    const trail = TRAIL.map((record) =>
      record.turnId === 'turn-c' ? { ...record, type: 'turn.queued' } : record,
    );
    expect(violations(keeping({ trail }))).toEqual([]);
  });

  it.each<[string, Partial<Kept>]>([
    ['lacks the end of a turn', { trail: TRAIL.filter(({ type }) => type !== 'turn.completed') }],
    ['has another end than the turn', { trail: TRAIL.filter(({ place }) => place !== '3:4') }],
    ['lacks a cancelled turn', { trail: TRAIL.filter(({ turnId }) => turnId !== 'turn-c') }],
    ['has a record twice', { trail: [...TRAIL, ...TRAIL.slice(-1)] }],
    ['counts a turn twice', { usage: { ...USAGE, completed: 2 } }],
    ['does not count a turn', { usage: { ...USAGE, cancelled: 0 } }],
  ])('is refused where it %s', (_, change) => {
    expect(rulesBroken(keeping(change))).toEqual(['unkept']);
  });
});
