import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { WindowTurn } from './context-window.js';
import { firstSent } from './context-window.js';

type Kind = 'answered' | 'answers' | 'failed';

/** `answers`: it answers a call of an earlier turn, and is answered; `failed`: nobody spoke. */
const turn = (size: number, kind: Kind = 'answered'): WindowTurn => {
  return { size, answersCall: kind === 'answers', mayCall: kind !== 'failed' };
};

interface Rest {
  readonly own?: number;
  readonly answersCall?: boolean;
}

function first(turns: readonly WindowTurn[], room: number, rest: Rest = {}): number {
  const window = { count: turns.length, own: 0, answersCall: false, room, ...rest };
  return firstSent((index) => turns[index] ?? turn(0), window);
}

// [SBP-L1-80]
describe('the first turn that a model is sent', () => {
  const answers = turn(1, 'answers');
  it.each([
    ['all that fit', [turn(1), turn(1), turn(1)], 3, 0],
    ['the newest that fit', [turn(5), turn(1), turn(1)], 3, 1],
    ['none where none fits', [turn(5), turn(5)], 3, 2],
    ['no newer one than the first that does not fit', [turn(1), turn(5), turn(1)], 3, 2],
    ['nothing of nothing', [], 3, 0],
    ['no answer of a tool without its call', [turn(1), turn(5), answers, turn(1)], 3, 3],
    ['the call with its answer where both fit', [turn(5), turn(1), answers], 3, 1],
    ['nor across a turn that failed', [turn(5), turn(5), turn(1, 'failed'), answers], 3, 4],
    ['which goes with both where they fit', [turn(5), turn(1), turn(1, 'failed'), answers], 3, 1],
  ] as const)('%s', (_, turns, room, expected) => {
    expect(first(turns, room)).toBe(expected);
  });

  it('is never behind what must be sent, with the calls that this answers', () => {
    const turns = [turn(9), turn(9), turn(9, 'failed'), turn(9, 'answers')];
    expect(first(turns, 1, { own: 1 })).toBe(1);
    expect(first([turn(9), turn(9)], 1, { own: 1 })).toBe(1);
    expect(first([turn(9), turn(9), turn(9, 'failed')], 1, { answersCall: true })).toBe(1);
    // Nobody has called: there is nothing to go back to.
    expect(first([turn(9, 'failed'), turn(9, 'answers')], 1, { own: 1 })).toBe(1);
  });

  it('leaves turns that fit, never parts a call from its answer, and leaves no room unused', () => {
    const kind = fc.constantFrom<Kind>('answered', 'answers', 'failed');
    const turns = fc.array(fc.tuple(fc.nat(20), kind).map((each) => turn(...each)));
    /** Whether what an answer behind it needs is there. */
    const mayBegin = (all: readonly WindowTurn[], from: number) =>
      all.slice(from).every(({ answersCall }, at, kept) => {
        return !answersCall || kept.slice(0, at).some(({ mayCall }) => mayCall);
      });
    fc.assert(
      fc.property(turns, fc.nat(100), (all, room) => {
        const from = first(all, room);
        const size = (index: number) => all.slice(index).reduce((sum, each) => sum + each.size, 0);
        expect(size(from)).toBeLessThanOrEqual(room);
        expect(mayBegin(all, from)).toBe(true);
        // The next one that may begin does not fit.
        const earlier = all.findLastIndex((_, index) => index < from && mayBegin(all, index));
        if (earlier >= 0) expect(size(earlier)).toBeGreaterThan(room);
      }),
    );
  });
});
