/** How much may be taken: again and again, and at once after a pause. */
export interface Rate {
  readonly perSecond: number;
  readonly atOnce: number;
}

export interface TokenBucket {
  readonly tokens: number;
  /** When it held them, in ms. */
  readonly at: number;
}

export function fullBucket({ atOnce }: Rate, now: number): TokenBucket {
  return { tokens: atOnce, at: now };
}

/** The bucket after `amount` was taken from it at `now`; null where it does not hold as much. */
export function take(
  bucket: TokenBucket,
  { perSecond, atOnce }: Rate,
  amount: number,
  now: number,
): TokenBucket | null {
  const filled = Math.min(atOnce, bucket.tokens + ((now - bucket.at) * perSecond) / 1000);
  return filled < amount ? null : { tokens: filled - amount, at: now };
}
