// The rule by which own-consumer.ts knows which events of the log end a turn so that it counts.

/** What is read of an event; docs/reference/asyncapi.json has all of it. */
export interface TurnEvent {
  readonly type: string;
  readonly session_id: string;
  readonly turn_id?: string;
  readonly epoch?: number;
  readonly data: {
    readonly model_used?: string;
    readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number } | null;
  };
}

// #region counts
/**
 * By session, the attempt that holds it. An acknowledged event need not be an accepted one: a
 * process that lost its turn may still have written an end, with an epoch of the past. One that is
 * to survive a restart keeps this in its database, in the transaction of the offset.
 */
const attempts = new Map<string, { readonly epoch: number; readonly turn: string | undefined }>();

export function isCompletedTurn({ type, session_id, turn_id, epoch }: TurnEvent): boolean {
  // Only events of a claim have an epoch; no other begins or ends a turn.
  if (epoch === undefined || type === 'session.opened' || type === 'session.restored') return false;
  const held = attempts.get(session_id) ?? { epoch: 0, turn: undefined };
  if (epoch > held.epoch) {
    const goesOn = type === 'turn.started' || (type === 'turn.adopted' && turn_id === held.turn);
    attempts.set(session_id, { epoch, turn: goesOn ? turn_id : undefined });
    return false;
  }
  const isEnd = ['turn.completed', 'turn.failed', 'turn.cancelled'].includes(type);
  if (!isEnd || epoch !== held.epoch || turn_id !== held.turn) return false;
  attempts.set(session_id, { epoch, turn: undefined });
  return type === 'turn.completed';
}
// #endregion
