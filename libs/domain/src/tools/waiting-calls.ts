import type { OpenCall, OpenSession } from '../session-state.js';

/** Whether the model of a turn made a call. */
export function isOf({ by }: OpenCall, turnId: string): boolean {
  return by.type === 'turn' && by.turnId === turnId;
}

/** The calls of a turn that have no outcome yet. */
export function callsOf({ calls }: OpenSession, turnId: string): readonly OpenCall[] {
  return calls.filter((call) => isOf(call, turnId));
}

/**
 * When somebody must look after the turn that is open, in ms since 1970: at once (0), or, where all
 * its open calls wait for a human or a device, when the first of them has waited too long [A19].
 * Null where no turn is open.
 */
export function dueAt(session: OpenSession): number | null {
  const { turn } = session;
  if (turn === null) return null;
  const own = callsOf(session, turn.turnId);
  const allWait = own.length > 0 && own.every(({ place }) => place.type !== 'surface');
  return allWait ? Math.min(...own.map(({ deadline }) => Date.parse(deadline))) : 0;
}
