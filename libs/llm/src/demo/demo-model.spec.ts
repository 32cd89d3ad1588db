import { describe, expect, it } from 'vitest';
import { describeChatModel } from '../chat-model.contract.js';
import { readCompletion } from '../completion/completion-body.js';
import type { JsonObject } from '../json.js';
import { isJsonObject, objectsOf } from '../json.js';
import { readSseEvents } from '../completion/sse-events.js';
import { UpstreamUnavailable } from '../upstream/upstream-errors.js';
import { DemoModel } from './demo-model.js';
import type { DemoOptions } from './demo-options.js';

describeChatModel((options) => {
  const model = new DemoModel(options);
  return Promise.resolve({ model, close: () => model.close() });
});

const FAST: DemoOptions = { ttftMs: 0, tokens: 40, intervalMs: 0, vary: false, fail: null };
const BODY = {
  model: 'gpt-4o',
  messages: [{ role: 'user', content: 'Plan a 3-day trip to Tokyo. Be concise.' }],
};

describe('the demo model', () => {
  it('says what it is, quotes the question and counts the messages', async () => {
    const messages = [{ role: 'system', content: 'S' }, ...BODY.messages];
    const { message } = readCompletion((await ask({ ...BODY, messages })).json);
    expect(message.content).toContain("I am StateBridge's built-in demo model, not a real LLM.");
    expect(message.content).toContain(
      'You sent 2 messages; the last of yours begins: “Plan a 3-day trip to Tokyo. Be concise.”',
    );
    expect(message.content?.split(' ')).toHaveLength(40);
  });

  // [SBP-L1-53]
  it.each([
    ['GET', '/models', 200, { object: 'list', data: [{ id: 'demo', object: 'model' }] }],
    ['GET', '/models?limit=1', 200, { data: [{ id: 'demo' }] }],
    ['GET', '/models/demo', 200, { id: 'demo', object: 'model' }],
    ['GET', '/models/gpt-4o', 404, { error: { code: 'unknown_url' } }],
    ['DELETE', '/models', 404, { error: { type: 'invalid_request_error', param: null } }],
    [
      'POST',
      '/embeddings',
      404,
      { error: { message: expect.stringMatching(/SBP_LLM_BASE_URL/) as unknown } },
    ],
  ])('answers %s %s with %d', async (method, path, status, body) => {
    const { signal } = new AbortController();
    const model = new DemoModel(FAST);
    const answer = await model.forward({ method, path, headers: {}, body: null, signal });
    expect(answer.status).toBe(status);
    const parts: Uint8Array[] = [];
    for await (const part of answer.body) parts.push(part);
    expect(JSON.parse(Buffer.concat(parts).toString())).toMatchObject(body);
  });

  it('gives equal requests equal text, and with vary different text from the first word on', async () => {
    const text = async (model: DemoModel): Promise<string> =>
      contentOf((await ask(BODY, model)).json);
    const steady = new DemoModel(FAST);
    expect(await text(steady)).toBe(await text(steady));
    const varying = new DemoModel({ ...FAST, vary: true, tokens: 1 });
    expect(await text(varying)).not.toBe(await text(varying));
  });

  it('streams a role, one chunk a word, a finish reason, usage and [DONE]', async () => {
    const { chunks, done } = await stream(
      { ...BODY, stream_options: { include_usage: true } },
      { ...FAST, tokens: 3 },
    );
    expect(chunks.map((chunk) => chunk['choices'])).toMatchObject([
      [{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }],
      [{ index: 0, delta: { content: 'I' }, finish_reason: null }],
      [{ index: 0, delta: { content: ' am' }, finish_reason: null }],
      [{ index: 0, delta: { content: " StateBridge's" }, finish_reason: null }],
      [{ index: 0, delta: {}, finish_reason: 'stop' }],
      [],
    ]);
    expect(chunks.map((chunk) => chunk['usage'])).toEqual([
      null,
      null,
      null,
      null,
      null,
      { prompt_tokens: 8, completion_tokens: 3, total_tokens: 11 },
    ]);
    expect(new Set(chunks.map((chunk) => chunk['id'])).size).toBe(1);
    expect(chunks[0]).toMatchObject({
      model: 'gpt-4o',
      system_fingerprint: 'fp_demo',
      object: 'chat.completion.chunk',
    });
    expect(done).toBe(true);
  });

  it('leaves usage out of a stream that did not ask for it', async () => {
    const { chunks } = await stream(BODY, { ...FAST, tokens: 2 });
    expect(chunks).toHaveLength(4);
    expect(chunks.some((chunk) => 'usage' in chunk)).toBe(false);
  });

  it('names the fields that reached it, once', async () => {
    const { chunks } = await stream({ ...BODY, top_k: 4 }, FAST);
    const fields = ['model', 'messages', 'top_k', 'stream'];
    expect(chunks.flatMap((chunk) => ('demo' in chunk ? [chunk['demo']] : []))).toEqual([
      { messages: 1, fields },
    ]);
    expect((await ask({ ...BODY, top_k: 4 })).json).toMatchObject({
      demo: { messages: 1, fields: ['model', 'messages', 'top_k'] },
    });
  });

  it('gives several choices, streamed and not, that differ', async () => {
    const { json } = await ask({ ...BODY, n: 2 });
    const whole = objectsOf(json['choices']).map((choice) =>
      isJsonObject(choice['message']) ? choice['message']['content'] : null,
    );
    expect(new Set(whole).size).toBe(2);
    const { chunks } = await stream({ ...BODY, n: 2 }, FAST);
    const streamed = ['', ''];
    for (const choice of chunks.flatMap((chunk) => objectsOf(chunk['choices']))) {
      const { index, delta } = choice;
      if (isJsonObject(delta) && typeof delta['content'] === 'string')
        streamed[Number(index)] = `${streamed[Number(index)] ?? ''}${delta['content']}`;
    }
    expect(streamed).toEqual(whole);
  });

  it.each(['max_tokens', 'max_completion_tokens'])('is cut by %s', async (limit) => {
    const { json } = await ask({ ...BODY, [limit]: 4 });
    expect(readCompletion(json)).toMatchObject({
      finishReason: 'length',
      message: { content: "I am StateBridge's built-in" },
    });
  });

  it.each([
    ['malformed JSON', '{"model":', null],
    ['a body that is no object', '[]', null],
    ['no model', JSON.stringify({ messages: BODY.messages }), 'model'],
    ['no messages', JSON.stringify({ model: 'm' }), 'messages'],
    ['empty messages', JSON.stringify({ model: 'm', messages: [] }), 'messages'],
    ['a message that is no object', JSON.stringify({ model: 'm', messages: ['hi'] }), 'messages'],
    ['a wrong stream', JSON.stringify({ ...BODY, stream: 'yes' }), 'stream'],
    ['a wrong n', JSON.stringify({ ...BODY, n: 0 }), 'n'],
    ['a wrong max_tokens', JSON.stringify({ ...BODY, max_tokens: -1 }), 'max_tokens'],
    ['a steering line out of bounds', JSON.stringify(user('demo: tokens=1000000')), 'messages'],
    [
      'a steering line with an unknown word',
      JSON.stringify(user('demo: tokens=3 faster')),
      'messages',
    ],
  ])('answers 400 in OpenAI’s form to %s', async (_, body, param) => {
    const { status, json } = await ask(body);
    expect(status).toBe(400);
    expect(json).toMatchObject({ error: { type: 'invalid_request_error', param, code: null } });
  });

  it('is steered for one call by a line of the last user message, which it does not quote', async () => {
    const model = new DemoModel(FAST);
    const { json } = await ask(
      user('Hello\n demo: tokens=30 interval=0 ttft=0 vary=off\nworld'),
      model,
    );
    expect(contentOf(json).split(' ')).toHaveLength(30);
    expect(contentOf(json)).toContain('begins: “Hello world”');
    expect(contentOf((await ask(BODY, model)).json).split(' ')).toHaveLength(40);
    expect((await ask(user('demo: fail=status:503'), model)).status).toBe(503);
  });

  it('takes a line without options as text', async () => {
    expect(contentOf((await ask(user('demo: vary your answer'))).json)).toContain(
      '“demo: vary your answer”',
    );
  });

  it('never tears a character of what it quotes', async () => {
    expect(contentOf((await ask(user('𝒜'.repeat(200)))).json)).toContain(`“${'𝒜'.repeat(60)}…”`);
  });

  it('fails every k-th call only', async () => {
    const model = new DemoModel({ ...FAST, fail: { type: 'refuse', every: 3 } });
    const outcomes: string[] = [];
    for (let call = 1; call <= 6; call++) {
      outcomes.push(
        await ask(BODY, model).then(
          () => 'ok',
          (fault: unknown) => (fault instanceof UpstreamUnavailable ? 'refused' : 'other'),
        ),
      );
    }
    expect(outcomes).toEqual(['ok', 'ok', 'refused', 'ok', 'ok', 'refused']);
  });
});

function user(content: string): JsonObject {
  return { model: 'm', messages: [{ role: 'user', content }] };
}

function contentOf(json: unknown): string {
  return readCompletion(json).message.content ?? '';
}

async function ask(
  body: unknown,
  model = new DemoModel(FAST),
): Promise<{ status: number; json: JsonObject }> {
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  const response = await model.complete({ body: bytes, signal: new AbortController().signal });
  const parts: Uint8Array[] = [];
  for await (const part of response.body) parts.push(part);
  const json: unknown = JSON.parse(Buffer.concat(parts).toString());
  return { status: response.status, json: isJsonObject(json) ? json : {} };
}

async function stream(
  body: JsonObject,
  options: DemoOptions,
): Promise<{ chunks: JsonObject[]; done: boolean }> {
  const response = await new DemoModel(options).complete({
    body: Buffer.from(JSON.stringify({ ...body, stream: true })),
    signal: new AbortController().signal,
  });
  const chunks: JsonObject[] = [];
  let done = false;
  for await (const { data } of readSseEvents(response.body)) {
    const chunk: unknown = data === '[DONE]' ? null : JSON.parse(data);
    if (isJsonObject(chunk)) chunks.push(chunk);
    else done = true;
  }
  return { chunks, done };
}
