import type { Kill } from './killer.js';
import type { WorkNote } from './work-ledger.js';

export interface Adoption {
  readonly session: string;
  readonly turn: string;
  /** From the death of its runner to the claim of another, in ms. */
  readonly afterMs: number;
}

/** Turns of killed processes that others took over. */
export function adoptionsAfter(
  kills: readonly Kill[],
  notes: readonly WorkNote[],
): readonly Adoption[] {
  return notes.flatMap((note) => {
    if (note.note !== 'adopted') return [];
    const { session, turn, at } = note;
    const death = kills.findLast(
      ({ at: diedAt, hand }) => diedAt <= at && hand.claims.includes(`${session} ${turn}`),
    );
    return death === undefined ? [] : [{ session, turn, afterMs: at - death.at }];
  });
}
