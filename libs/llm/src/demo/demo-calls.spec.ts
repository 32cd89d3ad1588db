import { describe, expect, it } from 'vitest';
import { readCompletion } from '../completion/completion-body.js';
import { CompletionAccumulator, parseChunk } from '../completion/completion-stream.js';
import { readSseEvents } from '../completion/sse-events.js';
import type { JsonObject } from '../json.js';
import { isJsonObject, objectsOf } from '../json.js';
import { UpstreamBroken } from '../upstream/upstream-errors.js';
import { DemoModel } from './demo-model.js';

const FAST = { ttftMs: 0, tokens: 12, intervalMs: 0, vary: false, fail: null };
const IDS = /^call_demo_[0-9a-f-]{36}$/;

const tool = (name: string): JsonObject => ({ type: 'function', function: { name } });
const user = (content: string): JsonObject => ({ role: 'user', content });
const OFFERED = [tool('surface_camera'), tool('surface_gps'), tool('lookup')];

/** What a client sends after calls: the calls, and an answer to each. */
function round(calls: readonly (readonly [string, unknown])[], number = 1): readonly JsonObject[] {
  const ids = calls.map((_, at) => `call_${number}_${at}`);
  return [
    {
      role: 'assistant',
      content: null,
      tool_calls: calls.map(([name], at) => ({ id: ids[at], ...tool(name) })),
    },
    ...calls.map(([, content], at) => ({ role: 'tool', tool_call_id: ids[at], content })),
  ];
}

describe('the demo model that is told to call tools', () => {
  it('calls what is offered, by its whole name or without its prefix, in order', async () => {
    const { message, finishReason } = await completion([
      user('Where am I?\ndemo: call=gps:{"accuracy":"high=1"} call=lookup call=surface_gps'),
    ]);
    expect(finishReason).toBe('tool_calls');
    expect(message).toEqual({
      role: 'assistant',
      content: null,
      tool_calls: [
        call('surface_gps', '{"accuracy":"high=1"}'),
        call('lookup', '{}'),
        call('surface_gps', '{}'),
      ],
    });
    expect(new Set(message.tool_calls?.map(({ id }) => id)).size).toBe(3);
  });

  it('prefers a tool of exactly that name', async () => {
    const tools = [tool('surface_gps'), tool('gps')];
    const { message } = await completion([user('demo: call=gps')], { tools });
    expect(message.tool_calls?.map((each) => each.function?.name)).toEqual(['gps']);
  });

  it('says something before its calls only where the line gives a length', async () => {
    const { message, usage } = await completion([user('demo: call=gps tokens=3')]);
    expect(message.content).toBe("I am StateBridge's");
    expect(message.tool_calls).toHaveLength(1);
    expect(usage).toMatchObject({ completion_tokens: 3 });
    const cut = await completion([user('demo: call=gps tokens=3')], { max_tokens: 2 });
    expect(cut.finishReason).toBe('length');
    expect(cut.message).toEqual({ role: 'assistant', content: 'I am' });
  });

  it('streams a call as its name and then its arguments in pieces', async () => {
    const input = '{"question":"Shall_we_go_to_𝒜-Town?"}';
    const chunks = await stream([user(`demo: call=lookup call=gps:${input}`)]);
    const deltas = chunks.flatMap((chunk) => objectsOf(chunk['choices'])).map(deltaOf);
    expect(deltas[0]).toEqual({ role: 'assistant', content: null, refusal: null });
    const pieces = deltas.flatMap((delta) => objectsOf(delta['tool_calls']));
    expect(pieces.slice(0, 4)).toEqual([
      { index: 0, ...call('lookup', '') },
      { index: 0, function: { arguments: '{' } },
      { index: 0, function: { arguments: '}' } },
      { index: 1, ...call('surface_gps', '') },
    ]);
    expect(pieces.length).toBeGreaterThan(6);
    const answer = new CompletionAccumulator();
    for (const chunk of chunks) answer.accept(parseChunk(JSON.stringify(chunk)));
    expect(answer.finishReason).toBe('tool_calls');
    expect(answer.message().tool_calls).toEqual([call('lookup', '{}'), call('surface_gps', input)]);
  });

  it('breaks off between the pieces of a call', async () => {
    const pieces: string[] = [];
    const messages = [user('demo: call=gps fail=break:2')];
    const body = { model: 'm', messages, tools: OFFERED, stream: true };
    const reading = read(body, (data) => pieces.push(data));
    await expect(reading).rejects.toBeInstanceOf(UpstreamBroken);
    expect(pieces).toHaveLength(3);
    expect(pieces.at(-1)).toContain('{"arguments":"{"}');
  });

  it('calls for each choice', async () => {
    const body = { model: 'm', messages: [user('demo: call=gps')], tools: OFFERED, n: 2 };
    const choices = objectsOf((await whole(body))['choices']);
    const ids = choices.flatMap(({ message }) => (isJsonObject(message) ? [message] : []));
    expect(ids.flatMap((each) => objectsOf(each['tool_calls']))).toHaveLength(2);
  });

  it('answers with the results, once they are there', async () => {
    const asks = user('Look!\ndemo: call=camera call=gps');
    const photo = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } };
    const { message, finishReason } = await completion([
      asks,
      ...round([
        ['surface_camera', [{ type: 'text', text: '64 by 64' }, photo]],
        ['surface_gps', `${'𝒜'.repeat(200)}B`],
      ]),
    ]);
    expect(finishReason).toBe('stop');
    expect(message.tool_calls).toBeUndefined();
    expect(message.content).toMatch(/^The answer of surface_camera: “64 by 64 \[an image\]”\. /);
    expect(message.content).toContain(`The answer of surface_gps: “${'𝒜'.repeat(200)}…”.`);
  });

  it('gives each choice of an answer as many words', async () => {
    const results = round([['surface_gps', 'one two three four five six seven eight']]);
    const messages = [user('demo: call=gps vary'), ...results];
    const body = { model: 'm', messages, tools: OFFERED, n: 2 };
    const texts = objectsOf((await whole(body))['choices']).map(({ message }) =>
      isJsonObject(message) ? String(message['content']) : '',
    );
    expect(new Set(texts.map((text) => text.split(' ').length)).size).toBe(1);
    expect(texts.every((text) => text.includes('seven eight”.'))).toBe(true);
  });

  it('makes the same calls in as many rounds as it is told', async () => {
    const messages = [user('demo: call=gps rounds=3')];
    for (let number = 1; number <= 3; number++) {
      expect((await completion(messages)).finishReason).toBe('tool_calls');
      messages.push(...round([['surface_gps', `place ${number}`]], number));
    }
    const { message } = await completion(messages);
    expect(message.content).toContain('“place 1”. The answer of surface_gps: “place 2”.');
    expect(message.content).toContain('“place 3”');
    // The next message begins anew.
    const next = [...messages, { role: 'assistant', content: 'x' }, user('demo: call=camera')];
    expect((await completion(next)).finishReason).toBe('tool_calls');
  });

  it('says which tool was not offered, and calls the others', async () => {
    const asks = user('demo: call=door call=gps');
    const says = "I was told to call 'door', but no such tool was offered.";
    const none = await completion([asks], { tools: [] });
    expect(none.finishReason).toBe('stop');
    expect(none.message.content).toMatch(`${says} I was told to call 'gps', but`);
    expect((await completion([asks])).message.tool_calls).toHaveLength(1);
    const after = await completion([asks, ...round([['surface_gps', 'here']])]);
    expect(after.message.content).toMatch(`The answer of surface_gps: “here”. ${says}`);
  });

  it('calls nothing with the tool choice none', async () => {
    const { message } = await completion([user('demo: call=gps')], { tool_choice: 'none' });
    expect(message.content).toMatch("I was told to call 'surface_gps', but tool_choice is none.");
    expect(message.tool_calls).toBeUndefined();
  });

  it('quotes no results where no line asks for calls', async () => {
    const messages = [user('Hello'), ...round([['surface_gps', 'here']])];
    expect((await completion(messages)).message.content).toMatch(/^I am StateBridge/);
  });

  it.each([
    'call=',
    'call=:{}',
    'call=gps:[]',
    'call=gps:{"a":',
    'call=gps:1',
    'rounds=0',
    'rounds=65',
    'call',
    'call=a '.repeat(33),
  ])('answers 400 to a line that it cannot follow (%s)', async (words) => {
    const body = { model: 'm', messages: [user(`demo: tokens=1 ${words}`)], tools: OFFERED };
    expect(await whole(body)).toMatchObject({ error: { type: 'invalid_request_error' } });
  });
});

function call(name: string, input: string): object {
  const id = expect.stringMatching(IDS) as unknown;
  return { id, type: 'function', function: { name, arguments: input } };
}

function deltaOf(choice: JsonObject): JsonObject {
  return isJsonObject(choice['delta']) ? choice['delta'] : {};
}

async function completion(
  messages: readonly JsonObject[],
  fields: JsonObject = {},
): Promise<ReturnType<typeof readCompletion>> {
  return readCompletion(await whole({ model: 'm', messages, tools: OFFERED, ...fields }));
}

async function whole(body: JsonObject): Promise<JsonObject> {
  const parts: Uint8Array[] = [];
  for await (const part of (await respond(body)).body) parts.push(part);
  const json: unknown = JSON.parse(Buffer.concat(parts).toString());
  return isJsonObject(json) ? json : {};
}

async function stream(messages: readonly JsonObject[]): Promise<readonly JsonObject[]> {
  const chunks: JsonObject[] = [];
  await read({ model: 'm', messages, tools: OFFERED, stream: true }, (data) => {
    const chunk: unknown = data === '[DONE]' ? null : JSON.parse(data);
    if (isJsonObject(chunk)) chunks.push(chunk);
  });
  return chunks;
}

async function read(body: JsonObject, onData: (data: string) => void): Promise<void> {
  for await (const { data } of readSseEvents((await respond(body)).body)) onData(data);
}

async function respond(body: JsonObject): ReturnType<DemoModel['complete']> {
  const { signal } = new AbortController();
  return new DemoModel(FAST).complete({ body: Buffer.from(JSON.stringify(body)), signal });
}
