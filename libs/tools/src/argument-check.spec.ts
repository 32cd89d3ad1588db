import type { JsonObject } from '#libs/protocol';
import { describe, expect, it } from 'vitest';
import { argumentProblem, toldSchema } from './argument-check.js';

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

  it('is checked at a cost that whoever attaches cannot raise', () => {
    const items = Array.from({ length: 20_000 }, (_, at) => ({ at }));
    const unique = { properties: { a: { type: 'array', uniqueItems: true } } };
    expect(fits(unique, { a: [...items, ...items] })).toBeNull();
    const many = Array.from({ length: 2_000 }, (_, at) => [`p${at}`, { type: 'string' }] as const);
    // Larger than what is checked: it is the surface's own to check.
    expect(fits({ properties: Object.fromEntries(many) }, { p0: 5 })).toBeNull();
    expect(fits({ properties: Object.fromEntries(many.slice(0, 200)) }, { p0: 5 })).not.toBeNull();
    const said = { type: 'object', description: 'x'.repeat(20_000), required: ['a'] };
    expect(fits(said, {})).toBeNull();
    const tried = Array.from({ length: 100 }, () => ({ enum: [{ a: 1 }] }));
    const slow = { properties: { a: { items: { anyOf: tried } } } };
    expect(fits(slow, { a: Array(50_000).fill(1) })).toBeNull();
    expect(fits(slow, { a: [1] })).not.toBeNull();
    let deep: JsonObject = {};
    for (let level = 0; level < 20_000; level++) deep = { not: deep };
    expect(fits(deep, {})).toBeNull();
  });

  it('checks a small schema on large arguments', () => {
    const file = { properties: { text: { type: 'string' }, mode: { type: 'integer' } } };
    expect(fits(file, { text: 'x'.repeat(200_000), mode: 'w' })).toMatch(/integer/);
  });

  it.each<[string, JsonObject, unknown]>([
    ['oneOf two references', { oneOf: [{ $ref: '#/$defs/a' }, { $ref: '#/$defs/b' }] }, 1],
    ['oneOf two patterns', { oneOf: [{ pattern: '^a' }, { pattern: '^b' }] }, 'a'],
    ['not a pattern', { not: { pattern: '^a' } }, 'b'],
    ['not a list that repeats nothing', { not: { uniqueItems: true } }, [1, 1]],
    ['not what lies deeper', { not: { properties: { a: { format: 'uri' } } } }, { a: 'b' }],
    ['not not', { not: { not: { pattern: '^a' } } }, 'a'],
    ['if a pattern, then', { if: { pattern: '^a' }, then: { maxLength: 1 } }, 'bb'],
    ['no more than one match', { contains: { pattern: '^a' }, maxContains: 1 }, ['a', 'b']],
  ])('refuses nothing that fits: %s', (_, schema, value) => {
    expect(fits({ properties: { a: schema } }, { a: value })).toBeNull();
  });

  it.each<[string, JsonObject, unknown]>([
    ['oneOf', { oneOf: [{ type: 'string' }, { maxLength: 3 }] }, 'abc'],
    ['not', { not: { const: 5 } }, 5],
    ['if', { if: { const: 5 }, then: false }, 5],
    ['contains', { contains: { const: 5 } }, [6]],
    ['what stands beside', { not: { pattern: '^a' }, type: 'string' }, 5],
    ['below anyOf', { anyOf: [{ pattern: '^a', type: 'string' }, { type: 'null' }] }, 5],
  ])('is checked where nothing is left out: %s', (_, schema, value) => {
    expect(fits({ properties: { a: schema } }, { a: value })).not.toBeNull();
  });

  it('is checked whatever draft it says that it is of', () => {
    for (const $schema of [
      'http://json-schema.org/draft-07/schema#',
      'https://json-schema.org/draft/2020-12/schema',
      'https://example.com/mine',
    ]) {
      expect(fits({ $schema, required: ['a'] }, {})).toMatch(/'a'/);
    }
    expect(fits({ id: 'mine', required: ['a'] }, {})).toMatch(/'a'/);
  });

  it('is told as it stands, or as an open object where it is none', () => {
    const told = (inputSchema: JsonObject | null) => toldSchema({ ...tool, inputSchema });
    const good = { $schema: 'http://json-schema.org/draft-07/schema#', required: ['a'] };
    expect(told(good)).toEqual({ type: 'object', ...good });
    expect(told({ type: null, required: ['a'] })).toEqual({ type: 'object', required: ['a'] });
    let deep: JsonObject = {};
    for (let level = 0; level < 20_000; level++) deep = { not: deep };
    for (const bad of [null, { properties: 5 }, { required: 'a' }, { $schema: 5 }, deep]) {
      expect(told(bad)).toEqual({ type: 'object' });
    }
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
