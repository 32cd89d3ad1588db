import { describe, expect, it } from 'vitest';
import { DEFAULT_DEMO_OPTIONS, applyOptions } from './demo-options.js';
import type { DemoOptions } from './demo-options.js';

/** Each option under the name of its flag. */
function read(texts: Readonly<Record<string, string>>): DemoOptions {
  const written = Object.entries(texts).map(([option, text]) => {
    return [option, { name: `--${option}`, text }] as const;
  });
  return applyOptions(DEFAULT_DEMO_OPTIONS, Object.fromEntries(written));
}

describe('options of the demo model', () => {
  it('stay as they were where nothing is written', () => {
    expect(read({})).toEqual(DEFAULT_DEMO_OPTIONS);
  });

  it.each([
    ['status:503', { type: 'status', status: 503, every: 1 }],
    ['status:429@2', { type: 'status', status: 429, every: 2 }],
    ['refuse', { type: 'refuse', every: 1 }],
    ['break:0', { type: 'break', after: 0, every: 1 }],
    ['break:12@3', { type: 'break', after: 12, every: 3 }],
    ['hang', { type: 'hang', every: 1 }],
  ])('reads the failure %s', (fail, expected) => {
    expect(read({ fail }).fail).toEqual(expected);
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
    expect(() => read(flags)).toThrow(expect.objectContaining({ name: 'InvalidSetting', field }));
  });
});
