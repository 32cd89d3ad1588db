import { describe, expect, it } from 'vitest';
import type { SurfaceNote, WorkNote } from './work-ledger.js';
import { durableAcknowledgements, inHand, isBusy } from './work-ledger.js';

function fact(
  at: number,
  name: SurfaceNote['fact'],
  attachId: string,
  phase: SurfaceNote['phase'],
  seq = 0,
): WorkNote {
  return { at, note: 'surface-fact', fact: name, phase, session: 's', attachId, seq };
}

const attachAndAcknowledge = [
  fact(1, 'attached', 'a', 'sent'),
  fact(5, 'acknowledged', 'a', 'sent', 3),
  fact(9, 'acknowledged', 'a', 'appended', 3),
];

describe('what a process had in hand', () => {
  it('is what it began and did not finish', () => {
    const hand = inHand([
      { at: 1, note: 'claimed', session: 's1', turn: 't1' },
      { at: 2, note: 'begun', work: 'append' },
      { at: 3, note: 'done', work: 'append' },
      { at: 4, note: 'adopted', session: 's2', turn: 't2' },
      { at: 5, note: 'released', session: 's1' },
      { at: 6, note: 'begun', work: 'surface' },
      { at: 7, note: 'step', step: 'T4' },
    ]);
    expect(hand).toEqual({ claims: ['s2 t2'], surfaces: 1, appends: 0, folds: 0, step: 'T4' });
    expect(isBusy(hand)).toBe(true);
  });

  it('is nothing where all was finished', () => {
    expect(
      isBusy(
        inHand([
          { at: 1, note: 'begun', work: 'fold' },
          { at: 2, note: 'done', work: 'fold' },
        ]),
      ),
    ).toBe(false);
  });
});

describe('an acknowledgement counts as durable', () => {
  it('once the log has taken it', () => {
    expect(durableAcknowledgements(attachAndAcknowledge, 's')).toEqual([{ at: 9, seq: 3 }]);
    expect(durableAcknowledgements(attachAndAcknowledge.slice(0, 2), 's')).toEqual([]);
  });

  it.each([
    ['another attach', fact(6, 'attached', 'b', 'sent')],
    ['a detach', fact(6, 'detached', 'a', 'sent')],
  ])('not if %s may stand before it', (_title, other) => {
    expect(durableAcknowledgements([...attachAndAcknowledge, other], 's')).toEqual([]);
  });

  it('also if another attach came after it', () => {
    expect(
      durableAcknowledgements([...attachAndAcknowledge, fact(10, 'attached', 'b', 'sent')], 's'),
    ).toHaveLength(1);
  });
});
