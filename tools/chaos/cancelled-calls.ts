import type { Call, ConversationHistory } from './history.js';

/** The code that a turn which was stopped ends with. */
const CANCELLED = 'SBP_TURN_CANCELLED';
/** What comes of a call of which nobody knows when it was served. */
const UNANSWERED = new Set<Call['outcome']['type']>(['vanished', 'broken', 'forgotten']);

/** Whether a caller was told that its turn was stopped. */
export function isToldCancelled({ outcome }: Call): boolean {
  if (outcome.type === 'refused') return outcome.status === 409 && outcome.code === CANCELLED;
  return outcome.type === 'broken' && outcome.told === CANCELLED;
}

/**
 * Whether a turn may have been stopped: somebody asked for that after it was asked for, or before
 * and was not answered, so that it may have been done later.
 */
export function mayBeCancelled(
  call: Call,
  { cancellations, calls }: Pick<ConversationHistory, 'cancellations' | 'calls'>,
): boolean {
  return (
    cancellations.some((cancellation) => cancellation.begunAt > call.begunAt) ||
    calls.some(
      (other) =>
        other.manner === 'interrupt' &&
        (other.endedAt > call.begunAt || UNANSWERED.has(other.outcome.type)),
    )
  );
}

/** Whether a caller who did not want to wait was told that the session is busy. */
export function isToldBusy({ manner, outcome }: Call): boolean {
  return (
    manner === 'reject' &&
    outcome.type === 'refused' &&
    outcome.status === 409 &&
    outcome.code === 'SBP_SESSION_CONFLICT'
  );
}
