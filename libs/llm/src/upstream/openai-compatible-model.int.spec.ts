import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { createServer as createSocketServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { ModelRequest } from '../chat-model.js';
import { textOf, useUpstream } from '../testing/test-upstream.js';
import { OpenAiCompatibleModel } from './openai-compatible-model.js';
import { UpstreamBroken, UpstreamUnavailable } from './upstream-errors.js';

describe('a model behind an OpenAI-compatible endpoint', () => {
  const { cleanup, connectTo, listen, serve, serveBytes, record } = useUpstream();

  it('sends a body in pieces as one of a known length', async () => {
    const { baseUrl, seen } = await record();
    const body = ['{"model":"m",', '"messages":[]', '}'].map((piece) => Buffer.from(piece));
    const { signal } = new AbortController();
    const response = await connectTo({ baseUrl }).complete({ body, signal });
    for await (const part of response.body) expect(part.length).toBeGreaterThan(0);
    expect(seen.map(({ request, body: sent }) => [request.headers, sent])).toEqual([
      [expect.objectContaining({ 'content-length': '27' }), '{"model":"m","messages":[]}'],
    ]);
    expect(seen[0]?.request.headers).not.toHaveProperty('transfer-encoding');
  });

  // [SBP-L1-02] [SBP-L1-04]
  it('sends the body verbatim, its own key, and no credential of the caller', async () => {
    const { baseUrl, seen } = await record();
    const headers = {
      Authorization: 'Bearer of-the-caller',
      Cookie: 'a=b',
      'X-Session-Token': 'secret',
      Connection: 'keep-alive, X-Hop',
      'X-Hop': '1',
      'Content-Length': '7',
      Host: 'elsewhere',
      'Accept-Encoding': 'gzip',
      'OpenAI-Organization': 'org',
    };
    const body = '{ "model":"m",  "seed":1.0, "x":"é" }';
    await textOf(
      await connectTo({ baseUrl: `${baseUrl}/?version=3`, apiKey: 'sk-ours' }).complete({
        ...call(body),
        headers,
      }),
    );
    expect(seen[0]?.body).toBe(body);
    expect(seen[0]?.request.method).toBe('POST');
    expect(seen[0]?.request.url).toBe('/v1/chat/completions?version=3');
    const received = seen[0]?.request.headers;
    expect(received).toMatchObject({
      authorization: 'Bearer sk-ours',
      'content-type': 'application/json',
      'accept-encoding': 'identity',
      'openai-organization': 'org',
      host: new URL(baseUrl).host,
    });
    for (const name of ['cookie', 'x-session-token', 'x-hop'])
      expect(received).not.toHaveProperty(name);
  });

  it('sends no authorization where it has no key', async () => {
    const baseUrl = await serve((request, response) =>
      response.end(JSON.stringify(request.headers)),
    );
    const received = await textOf(
      await connectTo({ baseUrl }).complete({ ...call(), headers: { authorization: 'x' } }),
    );
    expect(JSON.parse(received)).not.toHaveProperty('authorization');
  });

  it('passes status and headers on, without those of the connection and cookies', async () => {
    const baseUrl = await serve((_, response) => {
      response.writeHead(429, {
        'Retry-After': '20',
        'Set-Cookie': ['a=1', 'b=2'],
        'X-RateLimit-Remaining': '0',
        'X-Odd': '1',
        Connection: 'keep-alive, X-Odd',
      });
      response.end('slow down');
    });
    const response = await connectTo({ baseUrl }).complete(call());
    expect(response.status).toBe(429);
    expect(response.headers).toMatchObject({ 'retry-after': '20', 'x-ratelimit-remaining': '0' });
    for (const name of ['connection', 'keep-alive', 'transfer-encoding', 'set-cookie', 'x-odd']) {
      expect(response.headers).not.toHaveProperty(name);
    }
    expect(await textOf(response)).toBe('slow down');
  });

  it('keeps connections alive', async () => {
    const connections = new Set<Socket>();
    const baseUrl = await serve((request, response) => {
      connections.add(request.socket);
      response.end('ok');
    });
    const model = connectTo({ baseUrl });
    for (let round = 0; round < 10; round++)
      expect(await textOf(await model.complete(call()))).toBe('ok');
    // An answer is read a moment before its connection is free, so two may take turns.
    expect(connections.size).toBeLessThanOrEqual(2);
  });

  it('reads everything that came before the connection broke, however late', async () => {
    const baseUrl = await serveBytes((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc');
      socket.end();
    });
    const response = await connectTo({ baseUrl }).complete(call());
    const pieces: string[] = [];
    const reading = (async () => {
      for await (const bytes of response.body) {
        pieces.push(Buffer.from(bytes).toString());
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    await expect(reading).rejects.toBeInstanceOf(UpstreamBroken);
    expect(pieces.join('')).toBe('abc');
  });

  it('holds the upstream back while nobody reads, and gets every byte all the same', async () => {
    const part = Buffer.alloc(64 * 1024, 'x');
    let written = 0;
    const baseUrl = await serve((request, response) => {
      if (request.headers['x-small'] !== undefined) {
        response.end('ok');
        return;
      }
      const pump = (): void => {
        while (written < 1024) {
          written++;
          if (!response.write(part)) return;
        }
        response.end();
      };
      response.on('drain', pump);
      pump();
    });
    const model = connectTo({ baseUrl });
    const response = await model.complete(call());
    // Time enough for all of it, if it were taken: each of these calls is a round of both sides.
    for (let round = 0; round < 2000 && written < 1024; round++) {
      await textOf(await model.complete({ ...call(), headers: { 'x-small': '1' } }));
    }
    expect(written).toBeLessThan(1024);
    expect((await textOf(response)).length).toBe(1024 * part.length);
  });

  it('streams many answers at the same time', async () => {
    const waiting: (() => void)[] = [];
    const baseUrl = await serve((_, response) => {
      response.write('a');
      waiting.push(() => response.end('b'));
      if (waiting.length === 300) for (const finish of waiting) finish();
    });
    const model = connectTo({ baseUrl });
    const texts = await Promise.all(
      Array.from({ length: 300 }, async () => textOf(await model.complete(call()))),
    );
    expect(new Set(texts)).toEqual(new Set(['ab']));
  });

  it('is unavailable when the connection is refused', async () => {
    const closed = createSocketServer();
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
    const { port } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    const fault: unknown = await connectTo({ baseUrl: `http://127.0.0.1:${port}/v1` })
      .complete(call())
      .catch((caught: unknown) => caught);
    expect(fault).toBeInstanceOf(UpstreamUnavailable);
    expect(fault).toMatchObject({ cause: { code: 'ECONNREFUSED' } });
  });

  // [SBP-L1-54]
  it('asks again when no connection was taken, and another is a moment later', async () => {
    const reserved = createSocketServer();
    await new Promise<void>((resolve) => reserved.listen(0, '127.0.0.1', resolve));
    const { port } = reserved.address() as AddressInfo;
    await new Promise((resolve) => reserved.close(resolve));
    const model = connectTo({ baseUrl: `http://127.0.0.1:${port}/v1` });
    const answering = model.complete(call());
    const server = createServer((_, response) => response.end('here again'));
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    cleanup.push(() => new Promise((resolve) => server.close(resolve).closeAllConnections()));
    expect(await textOf(await answering)).toBe('here again');
  });

  // [SBP-L1-54]
  it('asks again, once begun nowhere, when a connection that it kept is closed', async () => {
    const requests: number[] = [];
    let connections = 0;
    const baseUrl = await listen(
      createSocketServer((socket) => {
        const connection = ++connections;
        let served = 0;
        socket
          .on('error', () => undefined)
          .on('data', () => {
            requests.push(connection);
            served += 1;
            // The server gives a kept connection up in the moment in which a request comes.
            if (connection === 1 && served === 2) socket.resetAndDestroy();
            else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
          });
      }),
    );
    const model = connectTo({ baseUrl });
    expect(await textOf(await model.complete(call()))).toBe('ok');
    await new Promise((resolve) => setImmediate(resolve));
    expect(await textOf(await model.complete(call()))).toBe('ok');
    expect(requests).toEqual([1, 1, 2]);
  });

  // [SBP-L1-54]
  it('does not ask again when a kept connection is closed inside the head', async () => {
    const requests: string[] = [];
    const baseUrl = await listen(
      createSocketServer((socket) => {
        socket
          .on('error', () => undefined)
          .on('data', () => {
            requests.push('one');
            if (requests.length === 2) socket.end('HTTP/1.1 200 OK\r\nContent-');
            else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
          });
      }),
    );
    const model = connectTo({ baseUrl });
    await textOf(await model.complete(call()));
    await new Promise((resolve) => setImmediate(resolve));
    await expect(model.complete(call())).rejects.toBeInstanceOf(UpstreamUnavailable);
    expect(requests).toHaveLength(2);
  });

  // [SBP-L1-55]
  it('tells what went wrong without the address, which the cause keeps', async () => {
    const closed = createSocketServer();
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
    const { port } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    const faults = [`http://127.0.0.1:${port}`, 'http://nowhere.invalid:81'].map((baseUrl) =>
      connectTo({ baseUrl })
        .complete(call())
        .catch((caught: unknown) => caught as Error),
    );
    for (const fault of await Promise.all(faults)) {
      expect(fault).toBeInstanceOf(UpstreamUnavailable);
      expect((fault as Error).message).not.toMatch(/127\.0|nowhere|http|\d/);
      expect(String((fault as Error).cause)).toMatch(/127\.0\.0\.1|nowhere\.invalid/);
    }
  });

  it('is unavailable when TLS cannot be spoken', async () => {
    const baseUrl = await serveBytes((socket) => socket.end('this is not TLS'));
    const model = connectTo({ baseUrl: baseUrl.replace('http:', 'https:') });
    await expect(model.complete(call())).rejects.toBeInstanceOf(UpstreamUnavailable);
  });

  it.each([
    ['reset', (socket: Socket) => socket.resetAndDestroy()],
    ['closed', (socket: Socket) => socket.end()],
    ['closed inside the head', (socket: Socket) => socket.end('HTTP/1.1 200 OK\r\nContent-')],
    ['answered with something else', (socket: Socket) => socket.end('hello\r\n\r\n')],
  ])(
    'is unavailable when the connection is %s before the head, and asks only once',
    async (_, end) => {
      let requests = 0;
      const baseUrl = await serveBytes((socket) => {
        requests++;
        end(socket);
      });
      await expect(connectTo({ baseUrl }).complete(call())).rejects.toBeInstanceOf(
        UpstreamUnavailable,
      );
      expect(requests).toBe(1);
    },
  );

  // [SBP-L1-56]
  it('is unavailable when a connection takes too long', async () => {
    // Takes part in no TLS handshake.
    const baseUrl = await listen(createSocketServer());
    const model = connectTo({
      baseUrl: baseUrl.replace('http:', 'https:'),
      connectTimeoutMs: 50,
    });
    await expect(model.complete(call())).rejects.toThrow(/^there was no connection in time$/);
  });

  it('is unavailable when the head takes too long', async () => {
    const baseUrl = await serveBytes(() => undefined);
    const model = connectTo({ baseUrl, headersTimeoutMs: 50 });
    await expect(model.complete(call())).rejects.toBeInstanceOf(UpstreamUnavailable);
  });

  it.each([
    [
      'reset in a chunked body',
      'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n',
      (socket: Socket) => socket.resetAndDestroy(),
    ],
    [
      'closed in a chunked body',
      'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n',
      (socket: Socket) => socket.end(),
    ],
    [
      'closed before the announced length',
      'Content-Length: 10\r\n\r\nabc',
      (socket: Socket) => socket.end(),
    ],
    ['silent for too long', 'Content-Length: 10\r\n\r\nabc', () => undefined],
  ])('throws UpstreamBroken after what came when the connection is %s', async (_, head, end) => {
    const sockets: Socket[] = [];
    const baseUrl = await serveBytes((socket) => {
      sockets.push(socket);
      socket.write(`HTTP/1.1 200 OK\r\n${head}`);
    });
    const response = await connectTo({ baseUrl, bodyIdleTimeoutMs: 50 }).complete(call());
    let text = '';
    const reading = (async () => {
      for await (const bytes of response.body) {
        text += Buffer.from(bytes).toString();
        for (const socket of sockets) end(socket);
      }
    })();
    await expect(reading).rejects.toBeInstanceOf(UpstreamBroken);
    expect(text).toBe('abc');
  });

  it('rejects with the reason when it is aborted before it has a connection', async () => {
    // Accepts no TLS handshake, so the call waits for its connection.
    const baseUrl = await listen(createSocketServer());
    const caller = new AbortController();
    const reason = new Error('gone');
    const waiting = connectTo({ baseUrl: baseUrl.replace('http:', 'https:') }).complete({
      ...call(),
      signal: caller.signal,
    });
    setImmediate(() => caller.abort(reason));
    await expect(waiting).rejects.toBe(reason);
  });

  it.each(['aborting the call', 'leaving the body', 'leaving the body unread'])(
    '%s ends the connection',
    async (way) => {
      let closed: (() => void) | null = null;
      const gone = new Promise<void>((resolve) => (closed = resolve));
      const baseUrl = await serve((_, response) => {
        response.on('close', () => closed?.());
        response.write('a');
      });
      const caller = new AbortController();
      const response = await connectTo({ baseUrl }).complete({ ...call(), signal: caller.signal });
      if (way === 'aborting the call') caller.abort();
      else {
        const reader = response.body[Symbol.asyncIterator]();
        if (way === 'leaving the body') await reader.next();
        await reader.return?.();
      }
      await gone;
    },
  );

  it.each(['', 'api.example.com/v1', 'ftp://example.com', 'https://user:secret@example.com/v1'])(
    'refuses the base URL %j',
    (baseUrl) => {
      expect(() => new OpenAiCompatibleModel({ baseUrl })).toThrow(
        expect.objectContaining({ field: 'SBP_LLM_BASE_URL' }),
      );
    },
  );

  it('describes itself without credentials', () => {
    const model = connectTo({
      baseUrl: 'https://api.example.com/v1/?key=secret',
      apiKey: 'sk-secret',
    });
    expect(model.description).toBe('OpenAI-compatible endpoint https://api.example.com/v1');
  });
});

function call(body = '{}'): ModelRequest {
  return { body: Buffer.from(body), signal: new AbortController().signal };
}
