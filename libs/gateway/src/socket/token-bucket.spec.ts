import { array, assert, double, nat, property, record } from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TokenBucket } from './token-bucket.js';
import { fullBucket, take } from './token-bucket.js';

const rate = { perSecond: 10, atOnce: 30 };

function bucketWith(tokens: number): TokenBucket {
  return { tokens, at: 1000 };
}

describe('a token bucket', () => {
  it('gives at once what it holds, and then nothing', () => {
    let bucket = fullBucket(rate, 0);
    for (let taken = 0; taken < 30; taken++) bucket = take(bucket, rate, 1, 0) ?? bucketWith(-1);
    expect(bucket.tokens).toBe(0);
    expect(take(bucket, rate, 1, 0)).toBeNull();
  });

  it('fills with time, up to what it holds', () => {
    expect(take(bucketWith(0), rate, 1, 1099)).toBeNull();
    expect(take(bucketWith(0), rate, 1, 1100)).toEqual({ tokens: 0, at: 1100 });
    expect(take(bucketWith(5), rate, 0, 3_600_000)).toEqual({ tokens: 30, at: 3_600_000 });
  });

  it('never gives more than what it holds at once and what came since', () => {
    const step = record({ after: nat(500), amount: double({ min: 0, max: 20, noNaN: true }) });
    assert(
      property(array(step), (steps) => {
        let bucket = fullBucket(rate, 0);
        let now = 0;
        let given = 0;
        for (const { after, amount } of steps) {
          now += after;
          const left = take(bucket, rate, amount, now);
          if (left === null) continue;
          bucket = left;
          given += amount;
        }
        expect(given).toBeLessThanOrEqual(rate.atOnce + (now * rate.perSecond) / 1000 + 1e-6);
      }),
    );
  });
});
