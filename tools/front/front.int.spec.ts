import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import type { IncomingMessage, RequestListener, Server } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { HEADERS } from '#libs/protocol';
import type { ServiceName } from '#libs/protocol';
import { freePort } from '../infrastructure/index.js';
import { startFront } from './index.js';
import type { Replica } from './index.js';

const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function replica(
  listener: RequestListener,
  kind: ServiceName = 'completions',
): Promise<Replica & { readonly server: Server }> {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  const { port } = server.address() as AddressInfo;
  return { kind, url: `http://127.0.0.1:${port}`, isReady: true, pid: 1, server };
}

/** Counts as ready, and takes no connection. */
async function refusing(): Promise<Replica> {
  return {
    kind: 'completions',
    url: `http://127.0.0.1:${await freePort()}`,
    isReady: true,
    pid: 1,
  };
}

async function front(...replicas: Replica[]): Promise<string> {
  const started = await startFront(0, replicas);
  cleanups.push(() => started.close());
  return started.url;
}

function post(url: string, body: string): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, { method: 'POST', body });
}

describe('the front passes requests on', () => {
  it('with method, path, body, host and end-to-end headers as they came, and says for whom', async () => {
    const seen: { request: IncomingMessage; body: string }[] = [];
    const url = await front(
      await replica((request, response) => {
        void text(request).then((body) => {
          seen.push({ request, body });
          response.writeHead(201, { 'X-Own': 'yes' }).end('made');
        });
      }),
    );
    const response = await fetch(`${url}/v1/chat/completions?x=%20`, {
      method: 'POST',
      body: 'hello',
      headers: { 'X-Custom': 'kept', 'X-Forwarded-For': '203.0.113.9' },
    });
    expect([response.status, response.headers.get('x-own'), await response.text()]).toEqual([
      201,
      'yes',
      'made',
    ]);
    expect(seen).toHaveLength(1);
    const [{ request, body } = { request: undefined, body: '' }] = seen;
    expect([request?.method, request?.url, body]).toEqual([
      'POST',
      '/v1/chat/completions?x=%20',
      'hello',
    ]);
    expect(request?.headers).toMatchObject({
      host: new URL(url).host,
      'x-custom': 'kept',
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-host': new URL(url).host,
    });
  });

  it('with a body whose length is not known before, for any method', async () => {
    const url = await front(
      await replica((request, response) => void text(request).then((body) => response.end(body))),
    );
    const chunked = httpRequest(`${url}/v1/x`, {
      method: 'DELETE',
      headers: { 'Transfer-Encoding': 'chunked' },
    });
    chunked.write('one ');
    chunked.end('two');
    const [response] = (await once(chunked, 'response')) as [IncomingMessage];
    expect(await text(response)).toBe('one two');
  });

  it('a POST to the next replica when the first refuses the connection', async () => {
    const url = await front(
      await refusing(),
      await replica((_, response) => response.end('served')),
    );
    for (let turn = 0; turn < 2; turn++) expect(await (await post(url, 'x')).text()).toBe('served');
  });

  it('never a POST twice: a replica that breaks off breaks the caller’s connection', async () => {
    let calls = 0;
    const breakOff: RequestListener = (request) => {
      calls++;
      request.socket.destroy();
    };
    const url = await front(await replica(breakOff), await replica(breakOff));
    await expect(post(url, 'x')).rejects.toThrow();
    expect(calls).toBe(1);
  });

  it('a GET to the next replica when the first breaks off before it answers', async () => {
    const url = await front(
      await replica((request) => request.socket.destroy()),
      await replica((_, response) => response.end('served')),
    );
    expect(await (await fetch(`${url}/v1/models`)).text()).toBe('served');
  });

  it('nothing to a replica that has said meanwhile that it is shutting down', async () => {
    const isDraining: RequestListener = (_, response) =>
      response.writeHead(503, { [HEADERS.draining]: '1' }).end();
    const held = Promise.withResolvers<undefined>();
    let calls = 0;
    const url = await front(
      await replica((request, response) => {
        void text(request).then(async (body) => {
          if (body === 'held') {
            held.resolve(undefined);
            await told.promise;
            isDraining(request, response);
          } else response.end('served');
        });
      }),
      await replica((request, response) => {
        calls += 1;
        isDraining(request, response);
      }),
    );
    const told = Promise.withResolvers<undefined>();
    const waiting = post(url, 'held');
    await held.promise;
    expect(await (await post(url, 'x')).text()).toBe('served');
    told.resolve(undefined);
    expect((await waiting).status).toBe(503);
    expect(calls).toBe(1);
  });

  it('nothing while no replica takes connections, and says 503', async () => {
    const url = await front(await refusing());
    const response = await post(url, 'x');
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1']);
    expect(await response.json()).toMatchObject({ error: { code: 'SBP_UPSTREAM_UNAVAILABLE' } });
  });
});

describe('the front streams', () => {
  it('the head before the first event, and each event when it is sent', async () => {
    let send: (event: string) => void = () => undefined;
    const url = await front(
      await replica((_, response) => {
        response.writeHead(200, { 'Content-Type': 'text/event-stream' }).flushHeaders();
        send = (event) => response.write(event);
      }),
    );
    const response = await post(url, 'x');
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    for (const event of ['data: 1\n\n', 'data: 2\n\n']) {
      send(event);
      expect((await reader?.read())?.value).toBe(event);
    }
  });

  it('a break as a break: a stream that its service did not end has no clean end', async () => {
    const url = await front(
      await replica((request, response) => {
        response.write('data: 1\n\n', () => request.socket.destroy());
      }),
    );
    const response = await post(url, 'x');
    await expect(response.text()).rejects.toThrow();
  });

  it('all that came before a break, also to a client that reads slowly', async () => {
    const much = Buffer.alloc(8 * 1024 * 1024, 'x');
    const last = 'event: error\n\n';
    const url = await front(
      await replica((request, response) => {
        // What nobody has read would reset the connection.
        request.resume().once('end', () => {
          response.write(much);
          response.write(last, () => request.socket.destroy());
        });
      }),
    );
    // A socket keeps nothing back when its connection ends.
    const client = connect(Number(new URL(url).port), '127.0.0.1');
    client.write('POST /v1/x HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx');
    let read = '';
    client.on('data', (bytes) => {
      read = (read + bytes.toString()).slice(-1_000);
      client.pause();
      setImmediate(() => client.resume());
    });
    await once(client, 'end');
    expect(read).toContain(last);
    expect(read).not.toMatch(/0\r\n\r\n$/);
  });

  it('the caller’s leaving to the service', async () => {
    let gone: Promise<unknown> = Promise.resolve();
    const url = await front(
      await replica((_, response) => {
        gone = once(response, 'close');
        response.write('data: 1\n\n');
      }),
    );
    const caller = new AbortController();
    const response = await fetch(`${url}/v1/x`, {
      method: 'POST',
      body: 'x',
      signal: caller.signal,
    });
    await response.body?.getReader().read();
    caller.abort();
    await gone;
  });
});

describe('the front passes WebSockets through', () => {
  async function echo(): Promise<Replica & { readonly sockets: WebSocketServer }> {
    const gateway = await replica((_, response) => response.writeHead(426).end('no'), 'gateway');
    const sockets = new WebSocketServer({ server: gateway.server });
    sockets.on('connection', (socket) => {
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    });
    return { ...gateway, sockets };
  }

  const address = (url: string): string => `${url.replace('http', 'ws')}/v1/sbp/ws/s-1`;

  it('with messages both ways and the close code of the service', async () => {
    const gateway = await echo();
    const socket = new WebSocket(address(await front(gateway)));
    await once(socket, 'open');
    socket.send('hello');
    const [message] = (await once(socket, 'message')) as [Buffer];
    expect(message.toString()).toBe('hello');
    for (const client of gateway.sockets.clients) client.close(4009, 'taken over');
    const [code, reason] = (await once(socket, 'close')) as [number, Buffer];
    expect([code, reason.toString()]).toEqual([4009, 'taken over']);
  });

  it('and lets either side see that the other died', async () => {
    const gateway = await echo();
    const url = await front(gateway);
    const first = new WebSocket(address(url));
    await once(first, 'open');
    for (const client of gateway.sockets.clients) client.terminate();
    expect((await once(first, 'close'))[0]).toBe(1006);

    const second = new WebSocket(address(url));
    const [served] = (
      await Promise.all([once(gateway.sockets, 'connection'), once(second, 'open')])
    )[0] as [WebSocket];
    second.terminate();
    expect((await once(served, 'close'))[0]).toBe(1006);
  });

  it('and the answer of a service that refuses the upgrade', async () => {
    const refusal: RequestListener = () => undefined;
    const gateway = await replica(refusal, 'gateway');
    gateway.server.on('upgrade', (_, socket) =>
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno'),
    );
    const socket = new WebSocket(address(await front(gateway)));
    socket.on('error', () => undefined);
    const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage];
    expect([response.statusCode, await text(response)]).toEqual([403, 'no']);
  });

  it('and says 503 while no gateway takes connections', async () => {
    const url = await front();
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.write(
      'GET /v1/sbp/ws/s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    );
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 503 [^]*SBP_UPSTREAM_UNAVAILABLE/);
  });
});
