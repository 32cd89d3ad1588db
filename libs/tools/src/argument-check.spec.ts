import type { JsonObject } from '#libs/protocol';
import { describe, expect, it } from 'vitest';
import { argumentProblem } from './argument-check.js';

describe('a schema of a surface', () => {
  const tool = { toolName: 'a', functionName: 'surface_a', description: null, timeoutMs: 1 };
  const fits = (inputSchema: JsonObject, input: JsonObject) =>
    argumentProblem({ ...tool, inputSchema }, input);

  it('is not checked where that could take for ever, or where it is none', () => {
    const evil = { properties: { a: { type: 'string', pattern: '^(a+)+$' } } };
    expect(fits(evil, { a: `${'a'.repeat(60)}!` })).toBeNull();
    expect(fits({ properties: { a: { $ref: '#/$defs/none' } } }, { a: 1 })).toBeNull();
    expect(fits({ type: 'no such type' }, {})).toBeNull();
    const open = { patternProperties: { '^x': {} }, additionalProperties: false };
    expect(fits(open, { xa: 1 })).toBeNull();
  });

  it('may name fields as its own keywords are named', () => {
    const named = {
      properties: { pattern: { type: 'string' }, format: { enum: ['a'] } },
      additionalProperties: false,
    };
    expect(fits(named, { pattern: 'x', format: 'a' })).toBeNull();
    expect(fits(named, { pattern: 5 })).toMatch(/string/);
    expect(fits(named, { other: 5 })).toMatch(/additional/);
  });

  it('may have the id of another one', () => {
    expect(fits({ $id: 'x', required: ['a'] }, { a: 1 })).toBeNull();
    expect(fits({ $id: 'x', required: ['b'] }, { a: 1 })).toMatch(/'b'/);
  });
});
