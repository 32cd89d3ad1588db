/** Something did not end in time. */
export class TimedOut extends Error {
  override readonly name = 'TimedOut';

  constructor(
    /** What was waited for, in words. */
    readonly what: string,
    readonly afterMs: number,
  ) {
    super(`${what} did not end within ${afterMs} ms`);
  }
}

/**
 * Resolves with the promise's value, or `late` after `ms`. The promise is not cancelled; a later
 * rejection of it is ignored.
 */
export async function within<T>(promise: Promise<T>, ms: number): Promise<T | 'late'> {
  const late = Promise.withResolvers<'late'>();
  const timer = setTimeout(() => late.resolve('late'), ms);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * As the promise; rejects with `TimedOut` after `ms`, and at once when `signal` aborts. The work
 * itself is stopped by neither.
 */
export async function deadline<T>(
  what: string,
  work: Promise<T>,
  ms: number,
  signal?: AbortSignal,
): Promise<T> {
  const interrupted = Promise.withResolvers<never>();
  const timer = setTimeout(() => interrupted.reject(new TimedOut(what, ms)), ms);
  const onAbort = (): void => interrupted.reject(new Error(`${what} was stopped`));
  if (signal?.aborted === true) onAbort();
  // Not one promise for all calls with this signal: each race would leave a reaction on it.
  signal?.addEventListener('abort', onAbort);
  try {
    return await Promise.race([work, interrupted.promise]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}
