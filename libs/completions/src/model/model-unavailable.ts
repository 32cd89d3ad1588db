import { UpstreamBroken, UpstreamUnavailable } from '#libs/llm';
import { SbpError } from '#libs/protocol';

/**
 * What a caller is told when the model could not be reached, or broke off: only what the model, or
 * its library, words for callers, because any other fault may name the model's address. `begun`: a
 * turn has started, and failed by it.
 */
export function modelUnavailable(error: unknown, { begun }: { readonly begun: boolean }): SbpError {
  const retryAfterMs = error instanceof UpstreamUnavailable ? error.retryAfterMs : undefined;
  const isForCallers = error instanceof UpstreamUnavailable || error instanceof UpstreamBroken;
  const message = isForCallers ? error.message : 'it failed';
  return new SbpError('SBP_UPSTREAM_UNAVAILABLE', `The model did not answer: ${message}`, {
    ...(retryAfterMs === undefined ? {} : { retryAfter: Math.ceil(retryAfterMs / 1000) }),
    begun,
    cause: error,
  });
}

/** Failures to connect, before anything was sent. */
const UNREACHED = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT']);

/** Whether the model may have seen a request that failed so. */
export function mayHaveReached(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && typeof cause.code === 'string' && UNREACHED.has(cause.code))
      return false;
  }
  return true;
}
