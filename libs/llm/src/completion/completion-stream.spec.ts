import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CompletionAccumulator, parseChunk } from './completion-stream.js';
import { readCompletion } from './completion-body.js';
import type { JsonObject } from '../json.js';
import { UpstreamBroken } from '../upstream/upstream-errors.js';

describe('a streamed completion', () => {
  it('is put together from its deltas', () => {
    const answer = new CompletionAccumulator();
    expect(answer.message()).toEqual({ role: 'assistant', content: '' });
    const head = { id: 'c1', model: 'm-1' };
    expect(
      answer.accept({
        ...head,
        choices: [{ index: 0, delta: { role: 'assistant', content: '' } }],
      }),
    ).toEqual({
      delta: '',
      finished: false,
      usageOnly: false,
      calls: [],
    });
    expect(answer.accept({ ...head, choices: [choice({ content: 'Hel' })] }).delta).toBe('Hel');
    expect(answer.accept({ ...head, choices: [choice({ content: 'lo' }, 'stop')] })).toEqual({
      delta: 'lo',
      finished: true,
      usageOnly: false,
      calls: [],
    });
    const usage = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 };
    expect(answer.accept({ ...head, choices: [], usage })).toEqual({
      delta: '',
      finished: false,
      usageOnly: true,
      calls: [],
    });
    expect(answer.message()).toEqual({ role: 'assistant', content: 'Hello' });
    expect(answer).toMatchObject({
      id: 'c1',
      model: 'm-1',
      usage,
      finishReason: 'stop',
      text: 'Hello',
    });
  });

  it('gives the text of choice 0 alone, keeps the others, and reports the end of any', () => {
    const answer = new CompletionAccumulator();
    const accepted = answer.accept({
      choices: [
        { index: 1, delta: { content: 'b' }, finish_reason: 'stop' },
        choice({ content: 'a' }),
      ],
    });
    expect(accepted).toEqual({ delta: 'a', finished: true, usageOnly: false, calls: [] });
    expect(answer.finishReason).toBeNull();
    answer.accept({ choices: [{ index: 2, delta: { content: 'c' } }] });
    answer.accept({ choices: [{ index: 1, delta: { content: 'b' } }] });
    expect(answer.text).toBe('a');
    expect(answer.alternatives().map(({ content }) => content)).toEqual(['bb', 'c']);
  });

  it('takes any split of a text and of tool arguments', () => {
    const texts = fc.array(fc.string({ unit: 'grapheme' }));
    fc.assert(
      fc.property(texts, texts, (said, args) => {
        const answer = new CompletionAccumulator();
        const deltas = said.map(
          (content) => answer.accept({ choices: [choice({ content })] }).delta,
        );
        answer.accept({
          choices: [
            tool({ index: 0, id: 'a', type: 'function', function: { name: 'f', arguments: '' } }),
          ],
        });
        for (const part of args)
          answer.accept({ choices: [tool({ index: 0, function: { arguments: part } })] });
        expect(deltas.join('')).toBe(said.join(''));
        expect(answer.message()).toEqual({
          role: 'assistant',
          content: said.join('') === '' ? null : said.join(''),
          tool_calls: [
            { id: 'a', type: 'function', function: { name: 'f', arguments: args.join('') } },
          ],
        });
      }),
    );
  });

  it('is the same as the whole body that it equals', () => {
    const calls = fc.array(
      fc.record({ name: fc.string({ minLength: 1 }), arguments: fc.string() }),
      { maxLength: 4 },
    );
    fc.assert(
      fc.property(fc.string(), calls, fc.string(), (content, functions, refusal) => {
        const toolCalls = functions.map((called, index) => ({
          id: `call-${index}`,
          type: 'function',
          function: called,
        }));
        const whole = readCompletion({
          choices: [{ message: { content, refusal, tool_calls: toolCalls } }],
        });
        const answer = new CompletionAccumulator();
        for (const character of content)
          answer.accept({ choices: [choice({ content: character })] });
        for (const character of refusal)
          answer.accept({ choices: [choice({ refusal: character })] });
        toolCalls.forEach((call, index) => {
          answer.accept({
            choices: [tool({ index, ...call, function: { name: call.function.name } })],
          });
          answer.accept({
            choices: [tool({ index, function: { arguments: call.function.arguments } })],
          });
        });
        expect(answer.message()).toEqual(whole.message);
      }),
    );
  });

  it.each<[string, readonly JsonObject[], readonly (readonly [string, string, string])[]]>([
    [
      'interleaved',
      [
        { index: 0, id: 'a', function: { name: 'f' } },
        { index: 1, id: 'b', function: { name: 'g' } },
        { index: 0, function: { arguments: '1' } },
        { index: 1, function: { arguments: '2' } },
      ],
      [
        ['a', 'f', '1'],
        ['b', 'g', '2'],
      ],
    ],
    [
      'without index',
      [
        { id: 'a', function: { name: 'f', arguments: '1' } },
        { function: { arguments: '2' } },
        { id: 'b', function: { name: 'g', arguments: '{}' } },
      ],
      [
        ['a', 'f', '12'],
        ['b', 'g', '{}'],
      ],
    ],
    [
      'all with the index 0',
      [
        { index: 0, id: 'a', function: { name: 'f', arguments: '1' } },
        { index: 0, id: 'b', function: { name: 'g', arguments: '2' } },
      ],
      [
        ['a', 'f', '1'],
        ['b', 'g', '2'],
      ],
    ],
    [
      'with id and name repeated',
      [
        { index: 0, id: 'a', function: { name: 'f', arguments: '1' } },
        { index: 0, id: 'a', function: { name: 'f', arguments: '2' } },
      ],
      [['a', 'f', '12']],
    ],
    [
      'with an empty id in later pieces',
      [
        { index: 0, id: 'a', function: { name: 'f', arguments: '1' } },
        { index: 0, id: '', function: { name: '', arguments: '2' } },
      ],
      [['a', 'f', '12']],
    ],
    [
      'with arguments as an object',
      [{ index: 0, id: 'a', function: { name: 'f', arguments: { x: 1 } } }],
      [['a', 'f', '{"x":1}']],
    ],
  ])('merges tool calls %s', (_, pieces, expected) => {
    const answer = new CompletionAccumulator();
    for (const piece of pieces) answer.accept({ choices: [tool(piece)] });
    expect(answer.message().tool_calls).toEqual(
      expected.map(([id, name, args]) => ({
        id,
        type: 'function',
        function: { name, arguments: args },
      })),
    );
  });

  it.each<[string, JsonObject[], JsonObject]>([
    [
      'of a custom tool',
      [
        { index: 0, id: 'a', type: 'custom', custom: { name: 'run', input: '' } },
        { index: 0, custom: { input: 'ls ' } },
        { index: 0, custom: { input: '-l' } },
      ],
      { id: 'a', type: 'custom', custom: { name: 'run', input: 'ls -l' } },
    ],
    [
      'of a custom tool, without a type',
      [{ id: 'a', custom: { name: 'run', input: 'ls' } }],
      { id: 'a', type: 'custom', custom: { name: 'run', input: 'ls' } },
    ],
    [
      'of another type',
      [{ index: 0, id: 'a', type: 'odd', odd: { name: 'x', at: [1], said: 'a' } }],
      { id: 'a', type: 'odd', odd: { name: 'x', at: [1], said: 'a' } },
    ],
  ])('keeps a call %s as it is, streamed or whole', (_, pieces, expected) => {
    const answer = new CompletionAccumulator();
    for (const piece of pieces) answer.accept({ choices: [tool(piece)] });
    expect(answer.message().tool_calls).toEqual([expected]);
    const whole = readCompletion({ choices: [{ message: { tool_calls: [expected] } }] });
    expect(whole.message.tool_calls).toEqual([expected]);
  });

  it('tolerates what providers leave out', () => {
    const answer = new CompletionAccumulator();
    const nothing = { delta: '', finished: false, usageOnly: false, calls: [] };
    for (const chunk of [
      {},
      { choices: null },
      { choices: [null] },
      { choices: [{}] },
      { choices: [{ delta: null }] },
      { choices: [{ delta: { content: null, tool_calls: null } }], error: null, usage: null },
      { choices: [], usage: { prompt_tokens: 'many' } },
    ]) {
      expect(answer.accept(chunk)).toEqual(nothing);
    }
    expect(
      answer.accept({
        choices: [{ delta: { content: [{ type: 'text', text: 'a' }, { type: 'other' }] } }],
      }).delta,
    ).toBe('a');
    expect(answer).toMatchObject({ usage: null, model: null, id: null });
  });

  it.each<[unknown, string]>([
    [{ message: 'overloaded', type: 'server_error' }, 'overloaded'],
    ['overloaded', 'overloaded'],
    [{ code: 7 }, '{"code":7}'],
  ])('breaks on the error %j inside the stream', (error, message) => {
    expect(() => new CompletionAccumulator().accept({ error })).toThrow(
      new UpstreamBroken(message),
    );
    expect(() => readCompletion({ error })).toThrow(new UpstreamBroken(message));
  });

  it('breaks on an answer without bound', () => {
    const answer = new CompletionAccumulator();
    const chunk = { choices: [choice({ content: 'x'.repeat(1024 * 1024) })] };
    for (let part = 0; part < 10; part++) answer.accept(chunk);
    expect(() => answer.accept(chunk)).toThrow(UpstreamBroken);
  });

  it.each(['', '{', '[]', 'null', '"a"'])('breaks on the chunk %j', (data) => {
    expect(() => parseChunk(data)).toThrow(UpstreamBroken);
  });
});

describe('a whole completion', () => {
  it('is read', () => {
    const usage = { prompt_tokens: 1, completion_tokens: 1 };
    const body = {
      id: 'c',
      model: 'm',
      choices: [{ index: 0, message: { content: 'Hi' }, finish_reason: 'stop' }],
      usage,
    };
    const message = { role: 'assistant', content: 'Hi' };
    expect(readCompletion(body)).toEqual({
      alternatives: [],
      id: 'c',
      model: 'm',
      message,
      usage,
      finishReason: 'stop',
    });
  });

  it('has no content where it has a refusal or tool calls instead', () => {
    expect(
      readCompletion({ choices: [{ message: { content: null, refusal: 'No.' } }] }).message,
    ).toEqual({
      role: 'assistant',
      content: null,
      refusal: 'No.',
    });
  });

  it.each([[null], ['text'], [[]], [{}], [{ choices: 'none' }]])('breaks on %j', (body) => {
    expect(() => readCompletion(body)).toThrow(UpstreamBroken);
  });
});

function choice(delta: JsonObject, reason: string | null = null): JsonObject {
  return { index: 0, delta, finish_reason: reason };
}

function tool(piece: JsonObject): JsonObject {
  return choice({ tool_calls: [piece] });
}
