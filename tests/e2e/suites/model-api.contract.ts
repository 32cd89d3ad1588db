import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createOpenAI } from '@ai-sdk/openai';
import { generateText } from 'ai';
import OpenAI, { toFile } from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Failure } from '../clients/bodies.js';
import { FakeUpstream, json } from '../topology/fake-upstream.js';
import type { Server } from '../topology/server.js';

const UPSTREAM_KEY = 'sk-of-the-operator';

/** How long the model may be silent, in ms: as long as others work may take. */
const IDLE_MS = 2_000;

/** What a topology is started with here, besides its own settings. */
function modelSettings(upstream: FakeUpstream): Record<string, string> {
  return {
    SBP_LLM_BASE_URL: upstream.baseUrl,
    SBP_LLM_API_KEY: UPSTREAM_KEY,
    SBP_LLM_HEADERS_TIMEOUT_MS: String(IDLE_MS),
    SBP_LLM_IDLE_TIMEOUT_MS: String(IDLE_MS),
  };
}

/** The rest of the model's API, through a running installation. */
export function describeModelApi(
  topology: string,
  start: (env: Readonly<Record<string, string>>) => Promise<Server>,
): void {
  describe(`${topology}: the model's API`, () => {
    let upstream: FakeUpstream;
    let server: Server | undefined;
    let url: string;
    let openai: OpenAI;
    beforeAll(async () => {
      upstream = await FakeUpstream.start();
      server = await start(modelSettings(upstream));
      ({ url } = server);
      openai = new OpenAI({
        baseURL: `${url}/v1`,
        apiKey: 'sk-of-the-caller',
        maxRetries: 0,
        defaultHeaders: { 'X-Session-Token': 'a-secret', 'X-Agent-ID': 'agent-7' },
      });
    });
    afterAll(async () => {
      await server?.stop();
      await upstream.stop();
    });

    // [SBP-L1-50] [SBP-L1-51]
    it('lists the models to the official client, by the operator’s key', async () => {
      const listed = { object: 'list', data: [{ id: 'm-1', object: 'model' }] };
      upstream.answers.set('/api/v1/models', (_request, response) => {
        response.writeHead(200, {
          'content-type': 'application/json',
          'set-cookie': 'a=b',
          'access-control-allow-origin': '*',
          'x-ratelimit-remaining': '7',
        });
        response.end(JSON.stringify(listed));
      });
      const page = await openai.models.list();
      expect(page.data).toEqual(listed.data);
      const { headers } = upstream.last('/api/v1/models') ?? {};
      expect(headers).toMatchObject({ authorization: `Bearer ${UPSTREAM_KEY}` });
      expect(headers?.['x-stainless-lang']).toBe('js');
      for (const name of ['x-session-token', 'x-agent-id', 'cookie', 'x-forwarded-for', 'origin'])
        expect(headers).not.toHaveProperty(name);
      const plain = await fetch(`${url}/v1/models?limit=2&after=a%20b`);
      expect(upstream.last('/api/v1/models')?.url).toBe('/api/v1/models?limit=2&after=a%20b');
      expect(plain.headers.get('x-ratelimit-remaining')).toBe('7');
      expect(plain.headers.get('x-request-id')).not.toBeNull();
      for (const name of ['set-cookie', 'access-control-allow-origin'])
        expect(plain.headers.get(name)).toBeNull();
    });

    // [SBP-L1-50]
    it('embeds for the official client', async () => {
      upstream.answers.set('/api/v1/embeddings', (request, response, received) => {
        const { input } = JSON.parse(received.body.toString()) as { input: string[] };
        const data = input.map((text, index) => ({ index, embedding: [text.length, 0.5] }));
        json({ object: 'list', data, model: 'e-1' })(request, response, received);
      });
      const { data } = await openai.embeddings.create({
        model: 'e-1',
        input: ['a', 'bcd'],
        encoding_format: 'float',
      });
      expect(data.map(({ embedding }) => embedding)).toEqual([
        [1, 0.5],
        [3, 0.5],
      ]);
    });

    // [SBP-L1-50]
    it('answers the AI SDK, whose provider of OpenAI asks /responses by default', async () => {
      const content = [{ type: 'output_text', text: 'Hello yourself.', annotations: [] }];
      const output = [{ type: 'message', role: 'assistant', id: 'msg_1', content }];
      const usage = { input_tokens: 1, output_tokens: 2 };
      const answer = { id: 'resp_1', created_at: 1, model: 'gpt-4o', output, usage };
      upstream.answers.set('/api/v1/responses', json(answer));
      const model = createOpenAI({ baseURL: `${url}/v1`, apiKey: 'sk-of-the-caller' })('gpt-4o');
      const { text } = await generateText({ model, prompt: 'Hello.', maxRetries: 0 });
      expect(text).toBe('Hello yourself.');
      const { headers, body } = upstream.last('/api/v1/responses') ?? {};
      expect(headers).toMatchObject({ authorization: `Bearer ${UPSTREAM_KEY}` });
      expect(JSON.parse(String(body))).toEqual({
        model: 'gpt-4o',
        input: [{ role: 'user', content: [{ type: 'input_text', text: 'Hello.' }] }],
      });
    });

    // [SBP-L1-50]
    it('uploads a file of the official client, byte by byte', async () => {
      const bytes = Buffer.from(Array.from({ length: 70_000 }, (_, at) => at % 256));
      upstream.answers.set('/api/v1/files', json({ id: 'file-1', object: 'file' }));
      const file = await toFile(bytes, 'every-byte.bin');
      expect(await openai.files.create({ file, purpose: 'user_data' })).toMatchObject({
        id: 'file-1',
      });
      const { headers, body } = upstream.last('/api/v1/files') ?? {};
      expect(headers?.['content-type']).toMatch(/^multipart\/form-data; boundary=/);
      expect(body?.includes(bytes)).toBe(true);
      expect(body?.toString('latin1')).toContain('filename="every-byte.bin"');
    });

    // [SBP-L1-52]
    it('passes on a body that is longer than those it reads', async () => {
      upstream.answers.set('/api/v1/audio/transcriptions', (_request, response, { body }) =>
        response.end(String(body.length)),
      );
      const body = Buffer.alloc(20_000_000, 'a');
      const answer = await fetch(`${url}/v1/audio/transcriptions`, { method: 'POST', body });
      expect([answer.status, await answer.text()]).toEqual([200, '20000000']);
    });

    // [SBP-L1-52]
    it('passes a body on before it has come whole, and an answer before it is', async () => {
      upstream.early.set('/api/v1/responses', (request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        request.on('data', (part: Buffer) => response.write(`data: ${part.toString()}\n\n`));
        request.on('end', () => response.end('data: [DONE]\n\n'));
      });
      const sent = httpRequest(`${url}/v1/responses`, { method: 'POST', agent: false });
      sent.write('one');
      const [response] = (await once(sent, 'response')) as [IncomingMessage];
      const parts = response.iterator({ destroyOnReturn: false });
      const next = async (): Promise<string> => String((await parts.next()).value);
      expect(await next()).toBe('data: one\n\n');
      sent.write('two');
      expect(await next()).toBe('data: two\n\n');
      sent.end();
      expect(await next()).toBe('data: [DONE]\n\n');
    });

    // [SBP-L1-52]
    it('breaks its call off when the caller breaks its body off', async () => {
      const broken = Promise.withResolvers<unknown>();
      const begun = Promise.withResolvers<null>();
      upstream.early.set('/api/v1/uploads', (request) => {
        request.on('error', (error) => broken.resolve(error));
        request.once('data', () => begun.resolve(null));
      });
      const options = { method: 'POST', agent: false, headers: { 'content-length': '1000' } };
      const sent = httpRequest(`${url}/v1/uploads`, options);
      sent.on('error', () => undefined).write('half of it');
      await begun.promise;
      sent.destroy();
      expect(await broken.promise).toMatchObject({ code: 'ECONNRESET' });
    });

    // [SBP-L1-50]
    it('passes on an answer that comes before the body is read, and no more of the body', async () => {
      upstream.early.set('/api/v1/images/edits', (request, response) => {
        response.writeHead(413, { 'content-length': '7' }).end('too big');
        request.resume();
      });
      for (let round = 0; round < 20; round += 1) {
        const body = Buffer.alloc(10_000_000, 'a');
        // Not `fetch`, which can miss such an answer.
        const sent = httpRequest(`${url}/v1/images/edits`, { method: 'POST', agent: false });
        const [answer] = (await once(sent.end(body), 'response')) as [IncomingMessage];
        // Behind its answer the front ends a connection that is not to be kept.
        sent.on('error', () => undefined);
        const text = (await answer.toArray()).join('');
        expect([answer.statusCode, text]).toEqual([413, 'too big']);
      }
    });

    // [SBP-L1-50]
    it.each(['PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'])('passes %s on', async (method) => {
      upstream.answers.set('/api/v1/odd/a%2Fb', (_request, response) => {
        response.writeHead(202, { 'x-odd': '1', 'content-length': '0' }).end();
      });
      const answer = await fetch(`${url}/v1/odd/a%2Fb?x=1`, { method });
      expect([answer.status, answer.headers.get('x-odd')]).toEqual([202, '1']);
      expect(upstream.last('/api/v1/odd/a%2Fb')).toMatchObject({
        method,
        url: '/api/v1/odd/a%2Fb?x=1',
      });
    });

    // [SBP-L1-50]
    it('passes errors on, which the official client raises', async () => {
      await expect(openai.responses.retrieve('r-1')).rejects.toBeInstanceOf(OpenAI.NotFoundError);
      upstream.answers.set('/api/v1/moderations', json({ error: { message: 'slow' } }, 429));
      await expect(openai.moderations.create({ input: 'x' })).rejects.toBeInstanceOf(
        OpenAI.RateLimitError,
      );
    });

    // [SBP-L1-50] [SBP-ERR-01]
    it.each([
      ['GET', '/v1/%2e%2e/admin'],
      ['GET', '/v1/files/..%2F..%2Fadmin'],
      ['GET', '/v1/sbp/nothing'],
      ['POST', '/v1/sbp/nothing'],
      ['GET', '/v1/chat/completions'],
      ['GET', '/v2/models'],
    ])('%s %s is 404, and nothing of it reaches the model', async (method, path) => {
      const count = upstream.received.length;
      const sent = httpRequest(`${url}${path}`, { path, method, agent: false }).end();
      const [answer] = (await once(sent, 'response')) as [IncomingMessage];
      const text = (await answer.toArray()).join('');
      expect(answer.statusCode).toBe(404);
      expect(Failure.parse(JSON.parse(text)).error.code).toBe('SBP_INVALID_REQUEST');
      expect(upstream.received).toHaveLength(count);
    });

    it.each([
      ['Origin', 'https://evil.example'],
      ['Host', 'evil.example'],
    ])('a request whose %s is foreign does not reach it', async (name, value) => {
      const count = upstream.received.length;
      const sent = httpRequest(`${url}/v1/models`, { headers: { [name]: value }, agent: false });
      const [answer] = (await once(sent.end(), 'response')) as [IncomingMessage];
      const { error } = JSON.parse((await answer.toArray()).join('')) as { error: object };
      expect(answer.statusCode).toBe(403);
      // [SBP-ERR-01]
      expect(error).toMatchObject({ code: 'SBP_FORBIDDEN', type: 'permission_error', param: name });
      expect(upstream.received).toHaveLength(count);
    });

    // [SBP-L1-55] [SBP-L1-56]
    it.each([
      ['/v1/silent', '{}'],
      ['/v1/reset', '{}'],
      ['/v1/chat/completions', '{"model":"silent","messages":[]}'],
      ['/v1/chat/completions', '{"model":"m","messages":[{"role":"user","content":"a"}],"sbp":{}}'],
    ])('is told at %s as 503 without its address when it gives no answer', async (path, body) => {
      upstream.early.set('/api/v1/silent', () => undefined);
      upstream.early.set('/api/v1/chat/completions', () => undefined);
      upstream.early.set('/api/v1/reset', ({ socket }) => socket.resetAndDestroy());
      const answer = await fetch(`${url}${path}`, { method: 'POST', body });
      const text = await answer.text();
      expect([answer.status, text]).toEqual([503, expect.stringMatching(/SBP_UPSTREAM_UNAVAIL/)]);
      expect(text).not.toMatch(new RegExp(`127\\.0\\.0\\.1|localhost|${upstream.port}|http:`));
    });

    // [SBP-L1-56]
    it('breaks off an answer in which the model is silent for too long', async () => {
      upstream.answers.set('/api/v1/half', (_request, response: ServerResponse) => {
        response.writeHead(200, { 'content-length': '10' }).write('abc');
      });
      const answer = await fetch(`${url}/v1/half`);
      expect(answer.status).toBe(200);
      await expect(answer.text()).rejects.toThrow();
    });

    it('ends its call when the caller goes away', async () => {
      const gone = Promise.withResolvers<null>();
      upstream.answers.set('/api/v1/endless', (_request, response: ServerResponse) => {
        response.on('close', () => gone.resolve(null));
        response.write('a');
      });
      const caller = new AbortController();
      const answer = await fetch(`${url}/v1/endless`, { signal: caller.signal });
      expect(answer.status).toBe(200);
      caller.abort();
      await gone.promise;
    });
  });
}
