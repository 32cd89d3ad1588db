import { setTimeout as sleep } from 'node:timers/promises';

/** Something that should have answered did not, for `afterMs`. */
class Stalled extends Error {
  override readonly name = 'Stalled';
  constructor(what: string, afterMs: number) {
    super(`${what} did not end within ${afterMs} ms`);
  }
}

/**
 * `work`, or a rejection with `Stalled`, or one when aborted; the work itself is not stopped by
 * either.
 */
export async function within<T>(
  ms: number,
  what: string,
  work: Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const interrupted = Promise.withResolvers<never>();
  const timer = setTimeout(() => interrupted.reject(new Stalled(what, ms)), ms);
  const onAbort = (): void => interrupted.reject(new Error(`${what} was stopped`));
  if (signal?.aborted === true) onAbort();
  // Not one promise for all: each race would leave a reaction on it.
  signal?.addEventListener('abort', onAbort);
  try {
    return await Promise.race([work, interrupted.promise]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

/**
 * Waits 100 ms after the first failure in a row, doubling up to a second; ends early, without an
 * error, when aborted.
 */
export async function backOff(failures: number, signal?: AbortSignal): Promise<void> {
  const ms = Math.min(100 * 2 ** Math.max(0, failures - 1), 1000);
  await sleep(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
}
