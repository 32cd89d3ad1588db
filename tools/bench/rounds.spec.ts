import { describe, expect, it } from 'vitest';
import { interleaved } from './rounds.js';

describe('interleaved rounds', () => {
  it('lets everybody begin in turn, and leaves the first round out', async () => {
    const order: string[] = [];
    const contender = (name: string) => ({
      name,
      measure: () => {
        order.push(name);
        return Promise.resolve(order.length);
      },
    });
    const results = await interleaved([contender('a'), contender('b')], 2, 0);
    expect(order).toEqual(['a', 'b', 'b', 'a', 'a', 'b']);
    expect([...results]).toEqual([
      ['a', [4, 5]],
      ['b', [3, 6]],
    ]);
  });
});
