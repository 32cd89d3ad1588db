import type { CallerPresence, TurnStatus } from '#libs/protocol';
import type { OpenSession } from '../session-state.js';

/**
 * Whether a turn that ends now is owed to a surface: always, unless its caller was told (was
 * connected at the commit) and either no surface was ever there, or the turn did not complete and
 * no surface is there now.
 */
export function isOwed(
  session: OpenSession,
  status: TurnStatus,
  caller: CallerPresence | 'unknown',
): boolean {
  if (caller !== 'connected') return true;
  switch (session.surface.type) {
    case 'never':
      return false;
    case 'detached':
      return status === 'completed';
    case 'attached':
      return true;
  }
}

/** How many turns wait for a surface. */
export function queuedTurns(session: OpenSession): number {
  return session.head - session.cursor;
}

/**
 * The cursor after an acknowledgement of everything up to `seq`: it only rises, and never passes
 * what exists.
 */
export function acknowledge(session: OpenSession, seq: number): OpenSession {
  return seq > session.cursor && seq <= session.head ? { ...session, cursor: seq } : session;
}
