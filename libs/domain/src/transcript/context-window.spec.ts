import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { WindowTurn } from './context-window.js';
import { firstSent } from './context-window.js';

const turn = (size: number, answersCall = false): WindowTurn => ({ size, answersCall });

function first(turns: readonly WindowTurn[], room: number, mustKeepFrom = turns.length): number {
  return firstSent((index) => turns[index] ?? turn(0), { count: turns.length, mustKeepFrom, room });
}

// [SBP-L1-80]
describe('the first turn that a model is sent', () => {
  it.each([
    ['all that fit', [turn(1), turn(1), turn(1)], 3, 0],
    ['the newest that fit', [turn(5), turn(1), turn(1)], 3, 1],
    ['none where none fits', [turn(5), turn(5)], 3, 2],
    ['no newer one than the first that does not fit', [turn(1), turn(5), turn(1)], 3, 2],
    ['nothing of nothing', [], 3, 0],
    ['no answer of a tool without its call', [turn(1), turn(5), turn(1, true), turn(1)], 3, 3],
    ['the call with its answer where both fit', [turn(5), turn(1), turn(1, true)], 3, 1],
  ] as const)('%s', (_, turns, room, expected) => {
    expect(first(turns, room)).toBe(expected);
  });

  it('is never behind what must be kept, with the calls that this answers', () => {
    const turns = [turn(9), turn(9), turn(9, true), turn(9, true)];
    expect(first(turns, 1, 3)).toBe(1);
    expect(first([turn(9), turn(9)], 1, 1)).toBe(1);
  });

  it('leaves whole turns that fit, never parts a call from its answer, and leaves no room unused', () => {
    const turns = fc.array(fc.record({ size: fc.nat(20), answersCall: fc.boolean() }));
    fc.assert(
      fc.property(turns, fc.nat(100), (given, room) => {
        const [head, ...rest] = given;
        const all = head === undefined ? [] : [{ ...head, answersCall: false }, ...rest];
        const from = first(all, room);
        const size = (index: number) => all.slice(index).reduce((sum, each) => sum + each.size, 0);
        expect(size(from)).toBeLessThanOrEqual(room);
        if (from < all.length) expect(all[from]?.answersCall).toBe(false);
        // The next one that may begin does not fit.
        const earlier = all.findLastIndex((each, index) => index < from && !each.answersCall);
        if (earlier >= 0) expect(size(earlier)).toBeGreaterThan(room);
      }),
    );
  });
});
