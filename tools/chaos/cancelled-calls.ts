import type { Call, ConversationHistory } from './history.js';

/** The code that a turn which was stopped ends with. */
const CANCELLED = 'SBP_TURN_CANCELLED';

/** Whether a caller was told that its turn was stopped. */
export function isToldCancelled({ outcome }: Call): boolean {
  if (outcome.type === 'refused') return outcome.status === 409 && outcome.code === CANCELLED;
  return outcome.type === 'broken' && outcome.told === CANCELLED;
}

/** Whether a turn may have been stopped: somebody asked for that after it was asked for. */
export function mayBeCancelled(
  { begunAt }: Call,
  { cancellations }: Pick<ConversationHistory, 'cancellations'>,
): boolean {
  return cancellations.some((cancellation) => cancellation.begunAt > begunAt);
}
