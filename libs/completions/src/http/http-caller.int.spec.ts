import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ModelResponse } from '#libs/llm';
import { SbpError } from '#libs/protocol';
import { pause } from '#libs/timing';
import { HttpCaller } from './http-caller.js';
import type { Patience } from './patient-writer.js';

const session = { sessionId: 's1', sessionToken: 'token' };
const head: ModelResponse = {
  status: 200,
  headers: {
    'content-type': 'application/json',
    'content-length': '999',
    'content-encoding': 'gzip',
    date: 'never',
    'x-request-id': 'r1',
  },
  body: (async function* () {})(),
};
const unavailable = new SbpError('SBP_UPSTREAM_UNAVAILABLE', 'Try later.', { retryAfter: 3 });

/** What the client got: how it ended, and everything before. */
interface Received {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
  readonly ended: 'cleanly' | 'broken';
}

let server: Server;
let clients: ReturnType<typeof request>[];

beforeEach(async () => {
  clients = [];
  server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(async () => {
  for (const client of clients) client.destroy();
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
});

/** One exchange: the server's side of it, and the client's. */
async function exchange(patience?: Patience) {
  const arrived = once(server, 'request') as Promise<[IncomingMessage, ServerResponse]>;
  const client = request({
    port: (server.address() as AddressInfo).port,
    host: '127.0.0.1',
    method: 'POST',
  });
  client.on('error', () => undefined);
  clients.push(client);
  const responded = new Promise<IncomingMessage>((resolve) => client.once('response', resolve));
  client.end('{}');
  const [, response] = await arrived;
  const prepared = { 'access-control-allow-origin': 'http://localhost' };
  const caller = new HttpCaller(response, prepared, patience);
  return {
    caller,
    client,
    response,
    responded,
    received: (pauseMs = 0) => responded.then((answer) => readAll(answer, pauseMs)),
  };
}

async function readAll(response: IncomingMessage, pauseMs: number): Promise<Received> {
  const parts: Buffer[] = [];
  let ended: Received['ended'] = 'cleanly';
  try {
    for await (const part of response) {
      parts.push(part as Buffer);
      if (pauseMs > 0) await pause(pauseMs);
    }
  } catch {
    ended = 'broken';
  }
  const { statusCode: status = 0, headers } = response;
  return { status, headers, text: Buffer.concat(parts).toString(), ended };
}

/** An id of a stream's event. */
const PLACE = 'chunk:1';

describe('a whole answer', () => {
  it('goes out with the session’s headers, the prepared ones, and those of the model that are not about its own body', async () => {
    const { caller, received } = await exchange();
    expect(await caller.answer(head, session, { a: 'ü' })).toBe(true);
    const { status, headers, text, ended } = await received();
    expect({ status, text, ended }).toEqual({ status: 200, text: '{"a":"ü"}', ended: 'cleanly' });
    expect(headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'content-length': '10',
      'x-request-id': 'r1',
      'x-session-token': 'token',
      'x-sbp-session-id': 's1',
      'access-control-allow-origin': 'http://localhost',
    });
    expect(headers).not.toHaveProperty('content-encoding');
    expect(headers.date).not.toBe('never');
  });

  it('of the model that is an error keeps its status, type and body', async () => {
    const { caller, received } = await exchange();
    const refused = { ...head, status: 418, headers: { 'content-type': 'text/plain' } };
    expect(await caller.relay(refused, session, Buffer.from('no'))).toBe(true);
    expect(await received()).toMatchObject({
      status: 418,
      text: 'no',
      headers: { 'content-type': 'text/plain', 'x-session-token': 'token' },
    });
  });
});

describe('a stream', () => {
  it('is sent chunk by chunk, and ended by [DONE]', async () => {
    const { caller, responded } = await exchange();
    caller.begin(head, session);
    const response = await responded;
    expect(response.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      'x-sbp-session-id': 's1',
      'x-session-token': 'token',
    });
    caller.chunk('{"n":1}', PLACE);
    let text = '';
    response.on('data', (part: Buffer) => (text += part.toString()));
    await vi.waitFor(() => expect(text).toBe('id: chunk:1\ndata: {"n":1}\n\n'));
    caller.chunk('{"n":2}', PLACE);
    const ended = once(response, 'end');
    expect(await caller.done()).toBe(true);
    await ended;
    expect(text).toBe(
      'id: chunk:1\ndata: {"n":1}\n\nid: chunk:1\ndata: {"n":2}\n\ndata: [DONE]\n\n',
    );
    expect(response.complete).toBe(true);
  });

  it('keeps the head back for nobody: it is there before the first chunk', async () => {
    const { caller, responded } = await exchange();
    caller.begin(head, session);
    expect((await responded).statusCode).toBe(200);
  });

  it('carries data of several lines as several lines of one event', async () => {
    const { caller, received } = await exchange();
    caller.begin(head, session);
    caller.chunk('{\n"n":1}', PLACE);
    await caller.done();
    expect((await received()).text).toBe('id: chunk:1\ndata: {\ndata: "n":1}\n\ndata: [DONE]\n\n');
  });

  it('that fails tells so and breaks off: it has no clean end', async () => {
    const { caller, received } = await exchange();
    caller.begin(head, session);
    caller.chunk('{"n":1}', PLACE);
    expect(await caller.fail(unavailable, session)).toBe(true);
    const { status, text, ended } = await received();
    expect({ status, ended }).toEqual({ status: 200, ended: 'broken' });
    const [, event, data] =
      /^id: chunk:1\ndata: \{"n":1\}\n\nevent: (\w+)\ndata: (.*)\n\n$/.exec(text) ?? [];
    expect(event).toBe('error');
    expect(JSON.parse(data ?? '')).toMatchObject({
      error: { code: 'SBP_UPSTREAM_UNAVAILABLE', type: 'api_error' },
    });
    expect(text).not.toContain('[DONE]');
  });
});

describe('a failure before the head', () => {
  it('is told by its status, with what helps the client', async () => {
    const { caller, received } = await exchange();
    expect(await caller.fail(unavailable, session)).toBe(true);
    const { status, headers, text, ended } = await received();
    expect({ status, ended }).toEqual({ status: 503, ended: 'cleanly' });
    expect(headers).toMatchObject({
      'retry-after': '3',
      'x-session-token': 'token',
      'x-sbp-session-id': 's1',
    });
    expect(JSON.parse(text)).toMatchObject({
      error: { code: 'SBP_UPSTREAM_UNAVAILABLE', message: 'Try later.' },
    });
  });

  it('says nothing of a session where there is none, and 400 for a bad request', async () => {
    const { caller, received } = await exchange();
    await caller.fail(
      new SbpError('SBP_INVALID_REQUEST', 'model: is missing', { param: 'model' }),
      null,
    );
    const { status, headers, text } = await received();
    expect(status).toBe(400);
    expect(headers).not.toHaveProperty('x-session-token');
    expect(headers).toMatchObject({ 'x-should-retry': 'false' });
    expect(JSON.parse(text)).toMatchObject({
      error: { param: 'model', type: 'invalid_request_error' },
    });
  });
});

describe('a caller that goes away', () => {
  it('before anything was answered is noticed, and told nothing', async () => {
    const { caller, client } = await exchange();
    const gone = vi.fn();
    caller.onGone(gone);
    expect(caller.connected).toBe(true);
    client.destroy();
    await vi.waitFor(() => expect(gone).toHaveBeenCalledTimes(1));
    expect(caller.connected).toBe(false);
    caller.begin(head, session);
    caller.chunk('x', PLACE);
    expect(await caller.answer(head, session, {})).toBe(false);
    expect(await caller.done()).toBe(false);
    expect(await caller.fail(unavailable, session)).toBe(false);
  });

  it('in the middle of a stream was not told its end', async () => {
    const { caller, client, responded } = await exchange();
    caller.begin(head, session);
    await responded;
    client.destroy();
    await vi.waitFor(() => expect(caller.connected).toBe(false));
    caller.chunk('x', PLACE);
    expect(await caller.done()).toBe(false);
    expect(await caller.fail(unavailable, session)).toBe(false);
  });

  it('while the last bytes wait to be written was not told', async () => {
    const { caller, client, responded } = await exchange();
    caller.begin(head, session);
    (await responded).pause();
    caller.chunk('x'.repeat(32 * 1024 * 1024), PLACE);
    const done = caller.done();
    client.destroy();
    expect(await done).toBe(false);
  });

  it('while a failure waits to be written was not told', async () => {
    const { caller, client, responded } = await exchange();
    caller.begin(head, session);
    (await responded).pause();
    caller.chunk('x'.repeat(32 * 1024 * 1024), PLACE);
    const failed = caller.fail(unavailable, session);
    client.destroy();
    expect(await failed).toBe(false);
  });

  it('after it got everything counts as there', async () => {
    const { caller, client, received } = await exchange();
    const gone = vi.fn();
    caller.onGone(gone);
    expect(await caller.answer(head, session, { ok: true })).toBe(true);
    await received();
    client.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => setImmediate(resolve));
    expect(caller.connected).toBe(true);
    expect(gone).not.toHaveBeenCalled();
  });

  it('before the caller object was made is gone from the beginning', async () => {
    const { client, response } = await exchange();
    client.destroy();
    await vi.waitFor(() => expect(response.destroyed).toBe(true));
    const late = new HttpCaller(response, {});
    expect(late.connected).toBe(false);
    expect(await late.answer(head, session, {})).toBe(false);
  });
});

describe('what has started', () => {
  const started = { ...head, headers: { ...head.headers, 'x-should-retry': 'true' } };

  it.each<[string, (caller: HttpCaller) => Promise<boolean>]>([
    ['a whole answer', (caller) => caller.answer(started, session, {})],
    [
      'an error of the model',
      (caller) => caller.relay({ ...started, status: 429 }, session, Buffer.from('{}')),
    ],
    [
      'a stream',
      (caller) => {
        caller.begin(started, session);
        return caller.done();
      },
    ],
    ['a failure', (caller) => caller.fail(unavailable, session)],
  ])('is not to be sent again by the client: %s says so', async (_what, answer) => {
    const { caller, received } = await exchange();
    await answer(caller);
    expect((await received()).headers).toMatchObject({ 'x-should-retry': 'false' });
  });

  it('is nothing yet where a failure has no session: the client may try again', async () => {
    const { caller, received } = await exchange();
    await caller.fail(unavailable, null);
    expect((await received()).headers).not.toHaveProperty('x-should-retry');
  });
});

describe('a caller that reads slowly', () => {
  const KIB = 1024;
  const text = 'x'.repeat(64 * KIB);
  /** More than the buffers of both ends of a connection hold. */
  const MORE = 1_000;

  /** A stream whose client has stopped reading. */
  async function stalled(patience?: Patience) {
    const playing = await exchange(patience);
    const { caller, responded } = playing;
    caller.begin(head, session);
    const response = await responded;
    response.on('error', () => undefined);
    response.pause();
    return { ...playing, incoming: response };
  }

  /**
   * Streams without a pause, as a fast model does, until the caller is gone; the most bytes that
   * waited for it.
   */
  async function streamUntilGone(caller: HttpCaller, { socket }: ServerResponse): Promise<number> {
    let most = 0;
    for (let sent = 1; sent <= MORE && caller.connected; sent++) {
      caller.chunk(text, PLACE);
      most = Math.max(most, sent * text.length - (socket?.bytesWritten ?? 0));
      await new Promise((resolve) => setImmediate(resolve));
    }
    return most;
  }

  it('is cut off when more than 1 MiB waits for it, and little more ever waits', async () => {
    const { caller, response } = await stalled();
    const gone = vi.fn();
    caller.onGone(gone);
    const waited = await streamUntilGone(caller, response);
    expect(waited).toBeGreaterThan(KIB * KIB - 2 * text.length);
    expect(waited).toBeLessThan(KIB * KIB + 4 * text.length);
    expect(caller.connected).toBe(false);
    expect(gone).toHaveBeenCalledTimes(1);
    await vi.waitFor(() => expect(response.destroyed).toBe(true));
    expect(await caller.done()).toBe(false);
  });

  it('is cut off when nothing of what waits leaves for long', async () => {
    const { caller, response } = await stalled({ unsentBytes: Infinity, stillMs: 200 });
    for (let sent = 0; sent < MORE; sent++) caller.chunk(text, PLACE);
    await vi.waitFor(() => expect(caller.connected).toBe(false), { timeout: 20_000 });
    await vi.waitFor(() => expect(response.destroyed).toBe(true));
  });

  it('is cut off while the end waits, and was not told it', async () => {
    const { caller } = await stalled({ unsentBytes: Infinity, stillMs: 200 });
    for (let sent = 0; sent < MORE; sent++) caller.chunk(text, PLACE);
    expect(await caller.done()).toBe(false);
    expect(caller.connected).toBe(false);
  });

  it('is cut off, too, where a whole answer waits', async () => {
    const { caller, responded } = await exchange({ unsentBytes: Infinity, stillMs: 200 });
    const answered = caller.answer(head, session, { text: text.repeat(MORE) });
    const response = await responded;
    response.on('error', () => undefined);
    response.pause();
    expect(await answered).toBe(false);
  });

  it('but steadily gets all of it, however long that takes', async () => {
    // Buffers of the system take and give much at a time: at this pace some of it every 200 ms.
    const stillMs = 2_000;
    const { caller, received } = await exchange({ unsentBytes: Infinity, stillMs });
    const begun = performance.now();
    const answered = caller.answer(head, session, { text: text.repeat(MORE) });
    const slowly = received(4);
    expect(await answered).toBe(true);
    const { ended, text: body } = await slowly;
    expect(ended).toBe('cleanly');
    expect(body.length).toBeGreaterThan(MORE * text.length);
    expect(performance.now() - begun).toBeGreaterThan(stillMs);
  });

  it('is not judged by one long chunk, or while nothing waits', async () => {
    const { caller, responded } = await exchange({ unsentBytes: 1, stillMs: 50 });
    caller.begin(head, session);
    const response = await responded;
    let length = 0;
    response.on('data', (part: Buffer) => (length += part.length));
    caller.chunk(text, PLACE);
    await vi.waitFor(() => expect(length).toBeGreaterThan(text.length));
    await new Promise((resolve) => setTimeout(resolve, 150));
    caller.chunk(text, PLACE);
    expect(await caller.done()).toBe(true);
  });
});
