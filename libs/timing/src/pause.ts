import { setTimeout as sleep } from 'node:timers/promises';

/** Waits `ms`; ends early, without an error, when `signal` aborts. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await sleep(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
}

export interface BackOff {
  /** After the first failure in a row, in ms; it doubles with each further one. */
  readonly firstMs: number;
  readonly longestMs: number;
}

const USUAL: BackOff = { firstMs: 100, longestMs: 1000 };

/** Waits before the next try; `failures` counts those in a row. Ends early when `signal` aborts. */
export async function backOff(
  failures: number,
  signal?: AbortSignal,
  { firstMs, longestMs }: BackOff = USUAL,
): Promise<void> {
  await pause(Math.min(firstMs * 2 ** Math.max(0, failures - 1), longestMs), signal);
}
