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

/**
 * A line about what went wrong, also for errors of the network layer that have no message of their
 * own.
 */
export function describeFault(fault: unknown): string {
  if (!(fault instanceof Error)) return String(fault);
  if (fault.message !== '') return fault.message;
  if (fault instanceof AggregateError && fault.errors.length > 0)
    return describeFault(fault.errors[0]);
  return fault.name;
}
