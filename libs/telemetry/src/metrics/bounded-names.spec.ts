import { expect, it } from 'vitest';
import { BoundedNames } from './bounded-names.js';

it('the first names are values of a label, all others are one', () => {
  const names = new BoundedNames(2);
  expect(['a', 'b', 'c', 'a', 'd'].map((name) => names.labelOf(name))).toEqual([
    ...['a', 'b', 'other', 'a', 'other'],
  ]);
  expect(new BoundedNames(2).labelOf('x'.repeat(101))).toBe('other');
});
