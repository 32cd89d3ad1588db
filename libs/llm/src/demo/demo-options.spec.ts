import { describe, expect, it } from 'vitest';
import { DEFAULT_DEMO_OPTIONS, parseDemoOptions } from './demo-options.js';

describe('parseDemoOptions', () => {
  it('has defaults', () => {
    expect(parseDemoOptions({})).toEqual(DEFAULT_DEMO_OPTIONS);
  });

  it('reads the environment, and flags before it', () => {
    const environment = {
      SBP_DEMO_TTFT_MS: '7',
      SBP_DEMO_TOKENS: '8',
      SBP_DEMO_INTERVAL_MS: '9',
      SBP_DEMO_VARY: 'true',
      SBP_DEMO_FAIL: 'hang@4',
    };
    const expected = {
      ttftMs: 7,
      tokens: 8,
      intervalMs: 9,
      vary: true,
      fail: { type: 'hang', every: 4 },
    };
    expect(parseDemoOptions(environment)).toEqual(expected);
    const flags = { ttft: '0', tokens: undefined, interval: '0', vary: false, fail: 'none' };
    expect(parseDemoOptions(environment, flags)).toEqual({
      ttftMs: 0,
      tokens: 8,
      intervalMs: 0,
      vary: false,
      fail: null,
    });
  });

  it.each([
    ['status:503', { type: 'status', status: 503, every: 1 }],
    ['status:429@2', { type: 'status', status: 429, every: 2 }],
    ['refuse', { type: 'refuse', every: 1 }],
    ['break:0', { type: 'break', after: 0, every: 1 }],
    ['break:12@3', { type: 'break', after: 12, every: 3 }],
    ['hang', { type: 'hang', every: 1 }],
  ])('reads the failure %s', (fail, expected) => {
    expect(parseDemoOptions({}, { fail }).fail).toEqual(expected);
  });

  it.each([
    ['--ttft', { ttft: '-1' }],
    ['--tokens', { tokens: '0' }],
    ['--tokens', { tokens: '1.5' }],
    ['--interval', { interval: 'fast' }],
    ['--vary', { vary: 'maybe' }],
    ['--fail', { fail: 'status:200' }],
    ['--fail', { fail: 'status' }],
    ['--fail', { fail: 'break' }],
    ['--fail', { fail: 'refuse:3' }],
    ['--fail', { fail: 'hang@0' }],
    ['--fail', { fail: 'explode' }],
  ])('names %s when it cannot be used (%o)', (field, flags) => {
    expect(() => parseDemoOptions({}, flags)).toThrow(
      expect.objectContaining({ name: 'InvalidSetting', field }),
    );
  });

  it('names the variable when that is what was given', () => {
    expect(() => parseDemoOptions({ SBP_DEMO_TOKENS: 'x' })).toThrow(
      expect.objectContaining({ field: 'SBP_DEMO_TOKENS' }),
    );
  });
});
