import { connect } from 'node:net';
import OpenAI from 'openai';
import { afterEach, describe, expect, it } from 'vitest';
import { describeChatModel } from '../chat-model.contract.js';
import { OpenAiCompatibleModel } from '../upstream/openai-compatible-model.js';
import type { DemoOptions } from './demo-options.js';
import type { DemoModelServer } from './serve-demo-model.js';
import { serveDemoModel } from './serve-demo-model.js';

describeChatModel(async (options) => {
  const server = await serveDemoModel({ ...options, port: 0 });
  const model = new OpenAiCompatibleModel({ baseUrl: `${server.url}/v1` });
  const close = async (): Promise<void> => {
    await model.close();
    await server.close();
  };
  return { model, close };
});

const FAST: DemoOptions = { ttftMs: 0, tokens: 12, intervalMs: 0, vary: false, fail: null };
const TEXT = "I am StateBridge's built-in demo model, not a real LLM. You sent";
const QUESTION = { model: 'gpt-4o', messages: [{ role: 'user' as const, content: 'Hi' }] };

describe('the served demo model', () => {
  let server: DemoModelServer | null = null;
  afterEach(() => server?.close());

  async function start(options: Partial<DemoOptions> = {}): Promise<string> {
    server = await serveDemoModel({ ...FAST, ...options, port: 0 });
    return server.url;
  }

  it('answers OpenAI’s client, plain', async () => {
    const client = new OpenAI({ baseURL: `${await start()}/v1`, apiKey: 'none' });
    const completion = await client.chat.completions.create(QUESTION);
    expect(completion).toMatchObject({
      model: 'gpt-4o',
      choices: [{ message: { content: TEXT }, finish_reason: 'stop' }],
    });
  });

  // [SBP-L1-53]
  it('lists itself to OpenAI’s client, and says that it has no more', async () => {
    const client = new OpenAI({ baseURL: `${await start()}/v1`, apiKey: 'none', maxRetries: 0 });
    expect((await client.models.list()).data).toMatchObject([{ id: 'demo' }]);
    await expect(client.embeddings.create({ model: 'demo', input: 'x' })).rejects.toMatchObject({
      status: 404,
      code: 'unknown_url',
    });
  });

  it('answers OpenAI’s client, streaming', async () => {
    const client = new OpenAI({ baseURL: `${await start()}/v1`, apiKey: 'none' });
    const stream = client.chat.completions.stream({
      ...QUESTION,
      stream_options: { include_usage: true },
    });
    const completion = await stream.finalChatCompletion();
    expect(completion.choices[0]?.message.content).toBe(TEXT);
    expect(completion.usage?.completion_tokens).toBe(12);
  });

  it('raises the right exception in OpenAI’s client', async () => {
    const client = new OpenAI({
      baseURL: `${await start({ fail: { type: 'status', status: 429, every: 1 } })}/v1`,
      apiKey: 'none',
      maxRetries: 0,
    });
    await expect(client.chat.completions.create(QUESTION)).rejects.toBeInstanceOf(
      OpenAI.RateLimitError,
    );
  });

  it('writes each chunk by itself', async () => {
    const url = await start({ tokens: 500 });
    const raw = await rawResponse(url, JSON.stringify({ ...QUESTION, stream: true }));
    const pieces = [...raw.matchAll(/\r\n[0-9a-f]+\r\n(data: [^\r]*\n\n)(?=\r\n)/g)].map(
      (match) => match[1] ?? '',
    );
    expect(pieces).toHaveLength(503);
    expect(pieces.every((piece) => piece.indexOf('\n\n') === piece.length - 2)).toBe(true);
  });

  it('is healthy, answers without /v1, and 404 elsewhere', async () => {
    const url = await start();
    expect(await (await fetch(`${url}/health`)).json()).toMatchObject({ status: 'ok' });
    const post = { method: 'POST', body: JSON.stringify(QUESTION) };
    expect((await fetch(`${url}/chat/completions`, post)).status).toBe(200);
    expect((await fetch(`${url}/v1/embeddings`, post)).status).toBe(404);
  });

  it('answers 413 to a body above 8 MiB', async () => {
    const url = await start();
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      body: 'x'.repeat(8 * 1024 * 1024 + 1),
    });
    expect(response.status).toBe(413);
  });
});

/** The bytes of a response as they cross the wire, up to the end of the chunked body. */
async function rawResponse(url: string, body: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: ${hostname}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  let raw = '';
  for await (const bytes of socket as AsyncIterable<Buffer>) {
    raw += bytes.toString();
    if (raw.endsWith('\r\n0\r\n\r\n')) break;
  }
  return raw;
}
