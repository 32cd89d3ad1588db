import type { PendingCall, SbpParked } from '#libs/protocol';
import { SbpError } from '#libs/protocol';
import { ACCEPTED, OK } from './answer-heads.js';
import type { Joiner } from './joiner.js';

/**
 * Answers the caller of a turn that is parked: with 202, or in a stream with an error, because a
 * stream has no other way to end before its answer [A19].
 */
export async function tellParked(
  { caller, session, turnId, streams }: Omit<Joiner, 'model' | 'showUsage'>,
  calls: readonly PendingCall[],
): Promise<void> {
  const { sessionId: session_id, sessionToken: session_token } = session;
  const told = { turn_id: turnId, pending_calls: [...calls] };
  if (!streams) {
    const sbp: SbpParked = { session_id, session_token, resume_available: false, ...told };
    await caller.answer(ACCEPTED, session, { sbp });
    return;
  }
  if (!caller.answered) caller.begin(OK, session);
  const message =
    'The turn waits for an approval or a device; it goes on by itself, and its answer waits then.';
  await caller.fail(new SbpError('SBP_TURN_PENDING', message, { detail: told }), session);
}
