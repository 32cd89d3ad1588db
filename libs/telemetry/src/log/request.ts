import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';

/** The request that the running code works for. */
export interface CurrentRequest {
  /** On the answer's header `x-request-id`, and in every log line made meanwhile. */
  readonly requestId: string;
  /** Where the request came from, as an IP address; null where that is not known. */
  readonly address: string | null;
  /** Calls `listener` when the request has been answered, or its caller has gone. */
  readonly onEnd?: (listener: () => void) => void;
}

const requests = new AsyncLocalStorage<CurrentRequest>();

/**
 * Runs `work` for a request: whatever it calls or awaits finds the request by `currentRequest`, and
 * its log lines carry the request's id.
 */
export function withRequest<T>(request: CurrentRequest, work: () => T): T {
  return requests.run(request, work);
}

/** The request that the caller works for; null outside of any. */
export function currentRequest(): CurrentRequest | null {
  return requests.getStore() ?? null;
}

/** Bounded, and without anything that could end a header or a log line. */
const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/;

/** A request's id: what its client sent as `X-Request-Id` where that is fit, else a new one. */
export function requestIdOf(header: string | readonly string[] | undefined): string {
  return typeof header === 'string' && REQUEST_ID.test(header) ? header : randomUUID();
}
