import { SbpError } from '#libs/protocol';

const REASONS = {
  lost: 'Another process has taken the turn over',
  'handed-over': 'This process ends',
  failed: 'This process cannot go on with the turn',
} as const;

/** Nothing here invites to ask again, because the turn goes on, or has ended, elsewhere. */
export function goesOnElsewhere(why: keyof typeof REASONS): SbpError {
  return new SbpError(
    'SBP_UPSTREAM_UNAVAILABLE',
    `${REASONS[why]}; it goes on without this connection, and its answer waits in the session.`,
    { begun: true },
  );
}

export function turnWasCancelled(): SbpError {
  return new SbpError('SBP_TURN_CANCELLED', 'The turn was cancelled.', { begun: true });
}
