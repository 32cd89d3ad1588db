import type { JsonObject } from '#libs/protocol';
import { CompletionAccumulator } from '#libs/llm';
import { describe, expect, it } from 'vitest';
import type { ToldBefore } from './shown-chunks.js';
import { ShownChunks } from './shown-chunks.js';

const hides = (name: string): boolean => name.startsWith('surface_');
const choice = (delta: object, finish_reason: string | null = null): JsonObject => ({
  id: 'new',
  created: 2,
  choices: [{ index: 0, delta, finish_reason }],
});
const piece = (index: number, name: string, args = ''): JsonObject =>
  choice({ tool_calls: [{ index, id: `c${index}`, function: { name, arguments: args } }] });
const rest = (index: number, args: string): JsonObject =>
  choice({ tool_calls: [{ index, function: { arguments: args } }] });

function shown(chunks: readonly JsonObject[], before: ToldBefore | null = null) {
  const answer = new CompletionAccumulator();
  const filter = new ShownChunks(hides, before);
  return chunks.map((chunk) => filter.shown(chunk, answer.accept(chunk).calls));
}
const deltas = (chunks: readonly (JsonObject | null)[]) =>
  chunks.map((chunk) => (chunk?.['choices'] as { delta: object }[] | undefined)?.[0]?.delta);

describe('what a caller is shown of a stream', () => {
  it('is what came, where it calls none of the surface’s tools', () => {
    const chunks = [choice({ role: 'assistant', content: '' }), piece(0, 'own'), rest(0, '{}')];
    expect(shown(chunks).every((chunk, at) => chunk === chunks[at])).toBe(true);
  });

  it('is no call of the surface’s, and its own calls counted from 0', () => {
    const chunks = [
      choice({ content: 'Hm.' }),
      piece(0, 'surface_gps'),
      piece(1, 'own'),
      rest(0, '{}'),
      rest(1, '{"a":'),
      rest(1, '1}'),
    ];
    expect(deltas(shown(chunks))).toEqual([
      { content: 'Hm.' },
      undefined,
      { tool_calls: [{ index: 0, id: 'c1', function: { name: 'own', arguments: '' } }] },
      undefined,
      { tool_calls: [{ index: 0, function: { arguments: '{"a":' } }] },
      { tool_calls: [{ index: 0, function: { arguments: '1}' } }] },
    ]);
  });

  it('is a call only when its name has come', () => {
    const chunks = [rest(0, '{'), piece(0, 'own', '}')];
    expect(deltas(shown(chunks))).toEqual([
      undefined,
      {
        tool_calls: [
          { index: 0, function: { arguments: '{' } },
          { index: 0, id: 'c0', function: { name: 'own', arguments: '}' } },
        ],
      },
    ]);
  });

  it('is every piece of a call that is of no function', () => {
    const custom = (name: string, more: object): JsonObject =>
      choice({ tool_calls: [{ index: 1, ...more, custom: { name, input: 'a' } }] });
    const input = choice({ tool_calls: [{ index: 1, custom: { input: 'b' } }] });
    const first = custom('surface_gps', { id: 'c1', type: 'custom' });
    const chunks = [piece(0, 'surface_gps'), first, input];
    const pieceOf = (custom: object, more: object = {}) => {
      return { tool_calls: [{ index: 0, ...more, custom }] };
    };
    expect(deltas(shown(chunks))).toEqual([
      undefined,
      pieceOf({ name: 'surface_gps', input: 'a' }, { id: 'c1', type: 'custom' }),
      pieceOf({ input: 'b' }),
    ]);
    expect(shown([first, input])).toEqual([first, input]);
  });

  it('goes on as the answer that it was shown before, with the usage of both', () => {
    const usage = { prompt_tokens: 3, completion_tokens: 2, details: { cached: 1 } };
    const before = { head: { id: 'first', created: 1 }, usage };
    const last = { id: 'new', created: 2, choices: [], usage: { ...usage, prompt_tokens: 4 } };
    const chunks = shown(
      [choice({ role: 'assistant', content: '' }), choice({ content: 'So' }), last],
      before,
    );
    expect(chunks).toEqual([
      null,
      { ...choice({ content: 'So' }), id: 'first', created: 1 },
      {
        ...{ id: 'first', created: 1, choices: [] },
        usage: { prompt_tokens: 7, completion_tokens: 4, details: { cached: 2 } },
      },
    ]);
  });
});
