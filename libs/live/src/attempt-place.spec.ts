import { describe, expect, it } from 'vitest';
import { AttemptPlace } from './attempt-place.js';
import { attemptId } from './attempt.js';

const TURN = '4b9dbd8f-6d7c-43dd-8f0c-0e2a8a1d6c11';

describe('the place in an attempt', () => {
  // [SBP-L3-13]
  it.each([
    { deltas: [], points: 0 },
    { deltas: ['Hello', '', ', world'], points: 12 },
    { deltas: ['a👋🏽b'], points: 4 },
    { deltas: ['a\ud83d'], points: 1 },
    { deltas: ['a\ud83d', '\udc4b', 'b'], points: 3 },
  ])('behind $deltas is $points code points', ({ deltas, points }) => {
    const place = new AttemptPlace(TURN, 7);
    for (const delta of deltas) place.append(delta);
    expect(place.id).toBe(`${attemptId(TURN, 7)}:${points}`);
  });
});
