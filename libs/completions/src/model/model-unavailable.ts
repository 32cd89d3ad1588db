import { UpstreamUnavailable } from '#libs/llm';
import { SbpError } from '#libs/protocol';

/** What a caller is told when the model could not be reached, or broke off. */
export function modelUnavailable(error: unknown): SbpError {
  const retryAfterMs = error instanceof UpstreamUnavailable ? error.retryAfterMs : undefined;
  const message = error instanceof Error ? error.message : String(error);
  return new SbpError('SBP_UPSTREAM_UNAVAILABLE', `The model did not answer: ${message}`, {
    ...(retryAfterMs === undefined ? {} : { retryAfter: Math.ceil(retryAfterMs / 1000) }),
    cause: error,
  });
}
