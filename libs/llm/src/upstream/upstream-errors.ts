/*
 * The messages of both errors reach callers: they say what happened, and never where. The address
 * of the model stands in their causes only, for the log.
 */

/** No response head could be had from the model. The call may have reached it all the same. */
export class UpstreamUnavailable extends Error {
  override readonly name = 'UpstreamUnavailable';
  /** How long to wait before another try, in milliseconds, where that is known. */
  readonly retryAfterMs?: number;

  constructor(
    message: string,
    options: { readonly cause?: unknown; readonly retryAfterMs?: number } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    if (options.retryAfterMs !== undefined) this.retryAfterMs = options.retryAfterMs;
  }
}

/**
 * The model's answer began and cannot be finished: broken off, unreadable, too large, or ended by
 * an error of the provider.
 */
export class UpstreamBroken extends Error {
  override readonly name = 'UpstreamBroken';
}

const PLAIN_FAULTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'it takes no connections',
  ENOTFOUND: 'its name is not found',
  EAI_AGAIN: 'its name is not found at the moment',
  EHOSTUNREACH: 'it cannot be reached',
  ENETUNREACH: 'it cannot be reached',
  UND_ERR_CONNECT_TIMEOUT: 'there was no connection in time',
  UND_ERR_HEADERS_TIMEOUT: 'there was no answer in time',
  UND_ERR_BODY_TIMEOUT: 'nothing came for too long',
  ECONNRESET: 'the connection broke off',
  EPIPE: 'the connection broke off',
  UND_ERR_SOCKET: 'the connection broke off',
};

/**
 * What went wrong, for callers: the fault's own message may hold the model's address, which is none
 * of their business. The log gets the fault itself, as the cause.
 */
export function plainFault(fault: unknown): string {
  return PLAIN_FAULTS[codeOf(fault) ?? ''] ?? 'the connection failed';
}

/** The code of an error of the network; of several tries to connect, that of the first. */
export function codeOf(fault: unknown): string | null {
  if (!(fault instanceof Error)) return null;
  if ('code' in fault && typeof fault.code === 'string') return fault.code;
  return fault instanceof AggregateError ? codeOf(fault.errors[0]) : null;
}
