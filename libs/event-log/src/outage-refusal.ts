import { SbpError } from '#libs/protocol';
import { isOutage } from '#libs/sql';
import { LogOverloaded, LogUnavailable } from './ports/event-log.js';

/**
 * What a caller is told whose request met a log or a storage that is away or full: the request is
 * not wrong, and the same may pass soon. Null for any other error.
 */
export function outageRefusal(error: unknown): SbpError | null {
  const problem = problemOf(error);
  return problem === null
    ? null
    : new SbpError('SBP_UPSTREAM_UNAVAILABLE', problem, { retryAfter: 1, cause: error });
}

function problemOf(error: unknown): string | null {
  if (error instanceof LogOverloaded) return 'Too much waits to be written to the log. Try later.';
  if (error instanceof LogUnavailable) return 'The log is not available at the moment.';
  return isOutage(error) ? 'The storage is not available at the moment.' : null;
}
