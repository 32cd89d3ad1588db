import { describe, expect, it } from 'vitest';
import { median, medianSpread, quantile, spreadOf } from './statistics.js';

const upTo = (count: number): number[] =>
  Array.from({ length: count }, (_, index) => count - index);

describe('statistics of measured times', () => {
  it('takes quantiles by the nearest rank, whatever the order', () => {
    expect(quantile(upTo(100), 0.99)).toBe(99);
    expect(quantile(upTo(10), 0.99)).toBe(10);
    expect(median([9, 1, 5])).toBe(5);
    expect(median([])).toBeNaN();
  });

  it('is not moved by one disturbed round', () => {
    const calm = spreadOf(upTo(100));
    expect(medianSpread([calm, { p50: 1e6, p99: 1e6 }, calm])).toEqual({ p50: 50, p99: 99 });
  });
});
