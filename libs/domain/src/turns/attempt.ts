import type { OpenSession } from '../session-state.js';

/** Whether an owned event is of the attempt at the open turn that nobody has taken over [A3]. */
export function isOfAttempt(
  { turn, epoch }: OpenSession,
  event: { readonly turn_id: string; readonly epoch: number },
): boolean {
  return turn?.turnId === event.turn_id && turn.epoch === event.epoch && epoch === event.epoch;
}
