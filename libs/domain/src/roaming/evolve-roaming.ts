import type { FoldedEventOf } from '#libs/protocol';
import type { Evolution } from '../changes.js';
import type { OpenSession } from '../session-state.js';

export function exported(
  session: OpenSession,
  event: FoldedEventOf<'session.exported'>,
): Evolution<OpenSession> {
  return {
    state: session,
    changes: [{ type: 'session-exported', data: event.data, at: event.occurred_at }],
    poke: [],
  };
}
