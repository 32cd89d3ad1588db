import { LogOverloaded } from '#libs/event-log';
import { SbpError } from '#libs/protocol';
import type { Settled } from './settled.js';
import type { TurnAppend } from './turn-events.js';

/** The log did not take a turn's beginning: nothing has begun. */
export function logRefusal(started: Settled<TurnAppend>): SbpError {
  if (started.type === 'resolved') {
    const detail = started.value.type === 'rejected' ? started.value.detail : '';
    return new SbpError('SBP_PAYLOAD_TOO_LARGE', `The log does not take the turn: ${detail}`);
  }
  if (started.error instanceof LogOverloaded) {
    const message = 'Too much waits to be written to the log. Try later.';
    return new SbpError('SBP_RATE_LIMITED', message, { retryAfter: 1 });
  }
  return new SbpError('SBP_UPSTREAM_UNAVAILABLE', 'The log does not take the turn. Try later.', {
    retryAfter: 1,
    cause: started.error,
  });
}

/** The log has said nothing for too long. */
export function logSilent(): SbpError {
  return new SbpError('SBP_UPSTREAM_UNAVAILABLE', 'The log does not answer. Try later.', {
    retryAfter: 5,
  });
}

/** Another process had its claim before the log had its start. */
export function neverStarted(): SbpError {
  const message = 'Another process has taken the session over. Try again.';
  return new SbpError('SBP_UPSTREAM_UNAVAILABLE', message, { retryAfter: 1 });
}
