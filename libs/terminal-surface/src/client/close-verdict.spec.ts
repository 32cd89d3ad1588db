import { expect, it } from 'vitest';
import { closeVerdict } from './close-verdict.js';

it.each([
  [1000, 0],
  [4009, 0],
  [4003, 1],
  [4004, 1],
])('a surface that is closed with %d ends with exit code %d', (code, exitCode) => {
  expect(closeVerdict(code)).toMatchObject({ type: 'end', exitCode });
});

it.each([1001, 1003, 1005, 1006, 1009, 1011, 1012, 1013, 4008, 4999])(
  'a surface that is closed with %d returns',
  (code) => {
    expect(closeVerdict(code)).toMatchObject({ type: 'return' });
  },
);

it('a surface of an overloaded server returns later', () => {
  const soon = closeVerdict(1006);
  const later = closeVerdict(1013);
  if (soon.type !== 'return' || later.type !== 'return') throw new Error('both return');
  expect(later.backOff.firstMs).toBeGreaterThan(soon.backOff.firstMs);
});
