import { describe, expect, it } from 'vitest';
import { ContextTokens, parseContextTokens } from './context-tokens.js';

const limits = (text: string): ContextTokens => new ContextTokens(parseContextTokens(text));

// [SBP-L1-81]
describe('SBP_CONTEXT_TOKENS', () => {
  it('is one limit for all models', () => {
    expect(limits('32000').of('any')).toBe(32_000);
  });

  it('is a limit for each model, and one for the others', () => {
    const some = limits('{"gpt-4o": 128000, "*": 8000}');
    expect([some.of('gpt-4o'), some.of('other')]).toEqual([128_000, 8_000]);
    expect(limits('{"gpt-4o": 128000}').of('other')).toBeNull();
  });

  it.each([
    ['many', /^SBP_CONTEXT_TOKENS: is neither a number nor JSON/],
    ['[1]', /^SBP_CONTEXT_TOKENS: must be a number, or an object/],
    ['12', /^SBP_CONTEXT_TOKENS: must be a whole number of tokens, 256 or more/],
    ['1000.5', /^SBP_CONTEXT_TOKENS: must be a whole number/],
    ['{"m": "lots"}', /^SBP_CONTEXT_TOKENS\["m"\]: must be a whole number/],
  ])('%s is refused, and the field is named', (text, problem) => {
    expect(() => parseContextTokens(text)).toThrow(problem);
  });
});
