import type { Blows } from './blows.js';
import type { WorkNote } from './work-ledger.js';

export interface Adoption {
  readonly session: string;
  readonly turn: string;
  /** How its runner ended. */
  readonly after: 'kill' | 'hand-over';
  /** From the end of its runner to the claim of another, in ms. */
  readonly afterMs: number;
}

/** Turns of ended processes that others took over. */
export function adoptionsAfter(
  { kills, restarts }: Blows,
  notes: readonly WorkNote[],
): readonly Adoption[] {
  const ends = [
    ...kills.map(({ at, hand }) => ({
      at,
      left: hand.claims,
      after: 'kill' as const,
      // An adopter may be killed itself at once, and that is not what it adopted after.
      lateMs: 0,
    })),
    ...restarts.map(({ endedAt, handedOver }) => ({
      at: endedAt,
      left: handedOver,
      after: 'hand-over' as const,
      lateMs: LEFT_MS,
    })),
  ].sort((one, other) => one.at - other.at);
  return notes.flatMap((note) => {
    if (note.note !== 'adopted') return [];
    const { session, turn, at } = note;
    const end = ends.findLast(
      (each) => each.at <= at + each.lateMs && each.left.includes(`${session} ${turn}`),
    );
    if (end === undefined) return [];
    return [{ session, turn, after: end.after, afterMs: Math.max(0, at - end.at) }];
  });
}

/** So long before its end is seen a process has said that it has left, at the most, in ms. */
const LEFT_MS = 1_000;
