import type { SessionBase, TurnPlace } from '#libs/protocol';
import type { OpenSession } from '../session-state.js';

/** Sessions that may stand behind one another; a longer chain is copied. */
export const LONGEST_CHAIN = 32;

/** A session's conversation as it was after one of its own turns. */
export interface TurnEnd {
  readonly number: number;
  readonly messages: number;
  readonly bytes: number;
  readonly steps: number;
  readonly costUsd: number | null;
  /** The number of the turn that brought the system messages; 0 for its base's, or none. */
  readonly systemTurn: number;
}

/** The place that a session stands at now; no turn is open. */
export function headOfSession(sessionId: string, session: OpenSession): SessionBase {
  const { turns, messages, bytes, steps, costUsd, systemTurn, base } = session;
  // Nothing has come to it yet: whoever goes on from here goes on from where it did.
  if (turns === 0 && base !== null) return base;
  return placeAfter(sessionId, session, {
    ...{ number: turns, messages, bytes, steps, costUsd, systemTurn },
  });
}

/** The place after one of the session's own turns. */
export function placeAfter(sessionId: string, session: OpenSession, end: TurnEnd): SessionBase {
  const { base, notes } = session;
  const own = (turn_number: number): TurnPlace => ({ session_id: sessionId, turn_number });
  return {
    session_id: sessionId,
    turn_number: end.number,
    message_count: end.messages,
    bytes: end.bytes,
    step_count: end.steps,
    cost_usd: end.costUsd,
    system: end.systemTurn === 0 ? (base?.system ?? null) : own(end.systemTurn),
    notes: notes.filter((note) => note.session_id !== sessionId || note.turn_number <= end.number),
    depth: (base?.depth ?? 0) + 1,
  };
}
