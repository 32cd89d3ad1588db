import { describe, expect, it } from 'vitest';
import { BENCHES, benchOptions } from './command-line.js';

describe('options of the benches', () => {
  it('runs all of them by default', () => {
    expect(benchOptions([])).toEqual({ only: [...BENCHES], seconds: 90 });
  });

  it('takes a list and a time', () => {
    expect(benchOptions(['--only', 'live,start', '--seconds', '5'])).toEqual({
      only: ['live', 'start'],
      seconds: 5,
    });
  });

  it.each([
    [['--only', 'lunch'], /lunch/],
    [['--seconds', '0'], /--seconds/],
    [['--seconds', '3600'], /--seconds/],
    [['--minutes', '1'], /--minutes/],
  ])('refuses %j', (args, problem) => {
    expect(() => benchOptions(args)).toThrow(problem);
  });
});
