import { beforeEach, describe, expect, it } from 'vitest';
import type { ModelResponse } from '#libs/llm';
import { ChatModel, DEFAULT_DEMO_OPTIONS, DemoModel, PriceList, UpstreamBroken } from '#libs/llm';
import type { ModelAnswer } from './model-answer.js';
import { ModelAnswerReader } from './model-answer.js';
import { ShownChunks } from './shown-chunks.js';

/** The reader calls no model; it only asks which kind it is. */
class OtherModel extends ChatModel {
  override readonly description = 'another';

  override complete(): Promise<ModelResponse> {
    throw new Error('it is not called here');
  }

  override close(): Promise<void> {
    return Promise.resolve();
  }
}

const prices = new PriceList([['gpt-4o', { input: 2, output: 10 }]]);

/** What the listener was told, in order. */
let told: string[];
beforeEach(() => {
  told = [];
});

interface Reading {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly showUsage?: boolean;
  readonly model?: ChatModel;
  readonly asked?: string;
  /** The body breaks off after its parts. */
  readonly breaks?: boolean;
}

async function read(parts: readonly string[], reading: Reading = {}): Promise<ModelAnswer> {
  const {
    status = 200,
    headers = { 'content-type': 'text/event-stream' },
    breaks = false,
  } = reading;
  async function* body() {
    for (const part of parts) {
      await Promise.resolve();
      yield Buffer.from(part);
    }
    if (breaks) throw new UpstreamBroken('the connection was lost');
  }
  const reader = new ModelAnswerReader(reading.model ?? new OtherModel(), prices);
  const head = { status, headers, body: body() };
  return reader.read(head, reading.asked ?? 'gpt-4o', performance.now(), {
    showUsage: reading.showUsage ?? false,
    chunks: new ShownChunks(() => false, null),
    begin: () => void told.push('begin'),
    chunk: (data) => void told.push(`chunk ${data}`),
    delta: (text) => {
      if (text !== '') told.push(`delta ${text}`);
    },
    usage: () => undefined,
  });
}

const chunk = (choice: object | null, more: object = {}): string =>
  JSON.stringify({
    id: 'c1',
    object: 'chat.completion.chunk',
    created: 5,
    model: 'gpt-4o',
    choices: choice === null ? [] : [choice],
    ...more,
  });
const text = (content: string, more: object = {}): string =>
  chunk({ index: 0, delta: { content } }, more);
const finish = (more: object = {}): string =>
  chunk({ index: 0, delta: {}, finish_reason: 'stop' }, more);
const usage = { prompt_tokens: 1000, completion_tokens: 100 };
const sse = (...chunks: readonly string[]): string[] => chunks.map((data) => `data: ${data}\n\n`);

function expectStream(answer: ModelAnswer): Extract<ModelAnswer, { type: 'stream' }> {
  if (answer.type !== 'stream') throw new Error(JSON.stringify(answer));
  return answer;
}

describe('a streamed answer', () => {
  it('is passed on chunk by chunk as it came, and its text told', async () => {
    const [first, second] = [text('Hel', { provider: 'x' }), text('lo')];
    await read(sse(first, second, finish(), '[DONE]'));
    expect(told).toEqual(['begin', 'delta Hel', `chunk ${first}`, 'delta lo', `chunk ${second}`]);
  });

  it('is held back from the chunk with finish_reason on [A2]', async () => {
    const after = chunk(null, { note: 'later' });
    const answer = expectStream(await read(sse(text('Hi'), finish(), after, '[DONE]')));
    expect(answer.held).toEqual([finish(), after]);
    expect(told).toHaveLength(3);
  });

  it('is held back, but told live, when text comes with or after the finish_reason', async () => {
    const last = chunk({ index: 0, delta: { content: '!' }, finish_reason: 'stop' });
    const answer = expectStream(await read(sse(text('Hi'), last, text('?'), '[DONE]')));
    expect(answer.held).toEqual([last, text('?')]);
    expect(told.filter((each) => each.startsWith('delta'))).toEqual([
      'delta Hi',
      'delta !',
      'delta ?',
    ]);
    expect(answer.output.messages).toEqual([{ role: 'assistant', content: 'Hi!?' }]);
  });

  it('becomes the turn’s message, model, usage and cost', async () => {
    const answer = await read(sse(text('Hi'), finish(), chunk(null, { usage }), '[DONE]'));
    expect(expectStream(answer).output).toEqual({
      messages: [{ role: 'assistant', content: 'Hi' }],
      before: null,
      finishReason: 'stop',
      modelUsed: 'gpt-4o',
      usage,
      costUsd: 0.003,
      firstTokenMs: expect.any(Number) as number,
      modelMs: expect.any(Number) as number,
      alternatives: [],
    });
  });

  it('says when its first text came, and its end', async () => {
    const { output } = expectStream(await read(sse(text('Hi'), finish(), '[DONE]')));
    expect(output.firstTokenMs).toBeGreaterThanOrEqual(0);
    expect(output.modelMs).toBeGreaterThanOrEqual(output.firstTokenMs ?? Number.NaN);
    expect(expectStream(await read(sse(finish(), '[DONE]'))).output.firstTokenMs).toBeNull();
  });

  it('keeps tool calls, and the choices besides choice 0', async () => {
    const call = (more: object) =>
      chunk({ index: 0, delta: { tool_calls: [{ index: 0, ...more }] } });
    const parts = [
      call({ id: 't1', type: 'function', function: { name: 'f', arguments: '{"a"' } }),
      chunk({ index: 1, delta: { content: 'other' } }),
      call({ function: { arguments: ':1}' } }),
      chunk({ index: 0, delta: {}, finish_reason: 'tool_calls' }),
    ];
    const answer = expectStream(await read(sse(...parts)));
    const tool_calls = [
      { id: 't1', type: 'function', function: { name: 'f', arguments: '{"a":1}' } },
    ];
    expect(answer.output.messages).toEqual([{ role: 'assistant', content: null, tool_calls }]);
    expect(answer.output.alternatives).toEqual([{ role: 'assistant', content: 'other' }]);
    expect(told.some((each) => each.startsWith('delta'))).toBe(false);
  });

  describe('whose client did not ask for usage', () => {
    it('loses the chunk that brings nothing else', async () => {
      const answer = expectStream(
        await read(sse(text('Hi'), finish(), chunk(null, { usage }), '[DONE]')),
      );
      expect(answer.held).toEqual([finish()]);
    });

    it('loses the field where it comes with more', async () => {
      const answer = expectStream(
        await read(sse(text('Hi', { usage: null }), finish({ usage }), '[DONE]')),
      );
      expect(told).toContain(`chunk ${text('Hi')}`);
      expect(answer.held).toEqual([finish()]);
      expect(answer.output.usage).toEqual(usage);
    });
  });

  it('whose client asked for usage keeps all of it', async () => {
    const parts = [text('Hi', { usage: null }), finish(), chunk(null, { usage })];
    const answer = expectStream(await read(sse(...parts, '[DONE]'), { showUsage: true }));
    expect(told).toContain(`chunk ${parts[0] ?? ''}`);
    expect(answer.held).toEqual(parts.slice(1));
  });

  it('is whole without [DONE], if it has a finish_reason', async () => {
    expect((await read(sse(text('Hi'), finish()))).type).toBe('stream');
  });

  it('ends at [DONE], whatever follows', async () => {
    const answer = expectStream(await read(sse(text('Hi'), finish(), '[DONE]', text('more'))));
    expect(answer.held).toEqual([finish()]);
  });

  it.each<[string, readonly string[], Reading, RegExp]>([
    ['has no finish_reason', sse(text('Hi'), '[DONE]'), {}, /without a finish_reason/],
    ['is empty', [], {}, /without a finish_reason/],
    ['breaks off', sse(text('Hi')), { breaks: true }, /connection was lost/],
    ['breaks off in the middle of a chunk', ['data: {"id":"c1"'], {}, /without a finish_reason/],
    ['holds what is no JSON', sse(text('Hi'), '{'), {}, /not JSON/],
    ['holds what is no object', sse('[1]'), {}, /not a JSON object/],
    ['holds an error', sse(text('Hi'), '{"error":{"message":"overloaded"}}'), {}, /overloaded/],
  ])('is broken where it %s', async (_what, parts, reading, problem) => {
    const answer = await read(parts, reading);
    expect(answer.type).toBe('broken');
    expect(answer.type === 'broken' && String(answer.cause)).toMatch(problem);
  });

  it('is recognised by its media type, however that is written', async () => {
    const headers = { 'content-type': 'Text/Event-Stream; charset=UTF-8' };
    expect((await read(sse(text('Hi'), finish()), { headers })).type).toBe('stream');
  });
});

describe('a whole answer', () => {
  const json = { headers: { 'content-type': 'application/json' } };
  const body = {
    id: 'c1',
    model: 'gpt-4o-2024',
    choices: [{ index: 0, message: { role: 'assistant', content: 'Hi' }, finish_reason: 'stop' }],
    usage,
    provider: { region: 'eu' },
  };

  it('keeps every field, and tells nothing before it is committed', async () => {
    const answer = await read([JSON.stringify(body)], json);
    expect(answer).toEqual({
      type: 'json',
      body,
      head: { id: 'c1' },
      output: {
        before: null,
        messages: [{ role: 'assistant', content: 'Hi' }],
        modelUsed: 'gpt-4o-2024',
        usage,
        finishReason: 'stop',
        costUsd: 0.003,
        firstTokenMs: null,
        modelMs: expect.any(Number) as number,
        alternatives: [],
      },
    });
    expect(told).toEqual([]);
  });

  it('may come in any pieces', async () => {
    const pieces = JSON.stringify(body).match(/.{1,7}/gs) ?? [];
    expect((await read(pieces, json)).type).toBe('json');
  });

  it.each(['', '{', '[]', '{"choices":7}', '{"error":"overloaded"}'])(
    'is broken where it is %j',
    async (text) => {
      expect((await read([text], json)).type).toBe('broken');
    },
  );

  it('has no cost where the price or the usage is unknown', async () => {
    const cost = async (value: object, asked: string): Promise<number | null> => {
      const answer = await read([JSON.stringify(value)], { ...json, asked });
      return answer.type === 'json' ? answer.output.costUsd : Number.NaN;
    };
    expect(await cost(body, 'another')).toBeNull();
    expect(await cost({ ...body, usage: undefined }, 'gpt-4o')).toBeNull();
  });

  it('of the built-in model costs nothing, whatever name it was asked by', async () => {
    const demo = new DemoModel(DEFAULT_DEMO_OPTIONS);
    const answer = await read([JSON.stringify({ ...body, model: 'gpt-4o' })], {
      ...json,
      model: demo,
    });
    expect(answer).toMatchObject({ output: { costUsd: 0 } });
  });
});

describe('an error of the provider', () => {
  it('is passed on as it is, even where it is a stream', async () => {
    const answer = await read(['{"error":', '"no"}'], { status: 429 });
    expect(answer).toMatchObject({
      type: 'refused',
      message: 'The model answered 429: {"error":"no"}',
    });
    expect(answer.type === 'refused' && answer.body.toString()).toBe('{"error":"no"}');
    expect(told).toEqual([]);
  });

  it('that breaks off is broken', async () => {
    expect((await read(['{'], { status: 500, breaks: true })).type).toBe('broken');
  });
});
