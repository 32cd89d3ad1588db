import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import type { IncomingMessage, RequestListener, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer, text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { LIMITS, SERVICES } from '#libs/protocol';
import type { ServiceName } from '#libs/protocol';
import { startFront } from './index.js';

const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A replica that a test can shut down and bring back. */
class TestReplica {
  isReady = true;
  pid = 1;
  isDraining = false;
  /** Requests that it refused because it was draining. */
  refused = 0;
  readonly served: { readonly request: IncomingMessage; readonly body: Buffer }[] = [];

  private constructor(
    readonly kind: ServiceName,
    readonly server: Server,
    readonly url: string,
  ) {}

  static async start(kind: ServiceName = 'completions'): Promise<TestReplica> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanups.push(() => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    });
    const { port } = server.address() as AddressInfo;
    const replica = new TestReplica(kind, server, `http://127.0.0.1:${port}`);
    server.on('request', replica.listener);
    return replica;
  }

  backAsAnother(): void {
    this.isDraining = false;
    this.pid += 1;
  }

  refuse(): string {
    this.refused += 1;
    return 'HTTP/1.1 503 Service Unavailable\r\nx-sbp-draining: 1\r\nconnection: close\r\n\r\n';
  }

  private readonly listener: RequestListener = (request, response) => {
    if (this.isDraining) {
      this.refused += 1;
      // As the services do: the answer goes out while the body is still coming.
      response.writeHead(503, { 'x-sbp-draining': '1', connection: 'close' }).write('{}');
      request.resume().once('end', () => response.end());
      return;
    }
    void buffer(request).then((body) => {
      this.served.push({ request, body });
      response.end(this.url);
    });
  };
}

async function front(...replicas: TestReplica[]): Promise<string> {
  const started = await startFront(0, replicas);
  cleanups.push(() => started.close());
  return started.url;
}

async function twoReplicas(): Promise<[TestReplica, TestReplica, string]> {
  const [first, second] = [await TestReplica.start(), await TestReplica.start()];
  return [first, second, await front(first, second)];
}

function post(url: string, body: string | Uint8Array): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, { method: 'POST', body });
}

// [SBP-ERR-09]
describe('a replica that is shutting down', () => {
  it.each([0, 10, 3_000_000, LIMITS.requestBody])(
    'passes a request of %d bytes on to the next, whole and once',
    async (size) => {
      const [first, second, url] = await twoReplicas();
      first.isDraining = true;
      const body = Buffer.alloc(size, 'abc');
      for (let turn = 0; turn < 3; turn += 1)
        expect(await (await post(url, body)).text()).toBe(second.url);
      expect(first.refused).toBe(1);
      expect(second.served.map((each) => each.body.equals(body))).toEqual([true, true, true]);
    },
  );

  it('passes on a request whose body is still on its way', async () => {
    const [first, second, url] = await twoReplicas();
    first.isDraining = true;
    const sending = httpRequest(`${url}/v1/chat/completions`, { method: 'POST' });
    sending.write('one ');
    await expect.poll(() => first.refused).toBe(1);
    sending.end('two');
    const [answer] = (await once(sending, 'response')) as [IncomingMessage];
    expect(await text(answer)).toBe(second.url);
    expect(second.served.map((each) => each.body.toString())).toEqual(['one two']);
  });

  it('is not asked again until another process has taken its place', async () => {
    const [first, second, url] = await twoReplicas();
    first.isDraining = true;
    for (let turn = 0; turn < 4; turn += 1) await post(url, 'x');
    expect([first.refused, second.served.length]).toEqual([1, 4]);
    first.backAsAnother();
    for (let turn = 0; turn < 4; turn += 1) await post(url, 'x');
    expect([first.refused, first.served.length, second.served.length]).toEqual([1, 2, 6]);
  });

  it('leaves 503 to the caller where it is the only one', async () => {
    const only = await TestReplica.start();
    only.isDraining = true;
    const url = await front(only);
    const answer = await post(url, 'x');
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1']);
    expect(await answer.json()).toMatchObject({ error: { code: 'SBP_UPSTREAM_UNAVAILABLE' } });
  });

  it('passes WebSockets on to the next', async () => {
    const [first, second] = [
      await TestReplica.start('gateway'),
      await TestReplica.start('gateway'),
    ];
    first.server.on('upgrade', (_request, socket) => socket.end(first.refuse()));
    const sockets = new WebSocketServer({ server: second.server });
    const url = await front(first, second);
    for (let turn = 0; turn < 3; turn += 1) {
      const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/sbp/ws/s-1`);
      await once(socket, 'open');
    }
    expect([first.refused, sockets.clients.size]).toEqual([1, 3]);
    for (const client of sockets.clients) client.terminate();
  });
});

describe('a request has one id on its way', () => {
  it('its own or a new one, and the same for each replica that is asked', async () => {
    const [first, second, url] = await twoReplicas();
    const ids: (string | undefined)[] = [];
    for (const replica of [first, second])
      replica.server.prependListener('request', ({ headers }: IncomingMessage) =>
        ids.push(String(headers['x-request-id'])),
      );
    first.isDraining = true;
    await post(url, 'x');
    expect(ids[0]).toMatch(/^[0-9a-f-]{36}$/);
    expect(ids).toEqual([ids[0], ids[0]]);
    await fetch(`${url}/v1/models`, { headers: { 'x-request-id': 'mine' } });
    expect(ids[2]).toBe('mine');
    const nobody = await fetch(`${url}/v1/sbp/ws/s`, { headers: { 'x-request-id': 'mine' } });
    expect([nobody.status, nobody.headers.get('x-request-id')]).toEqual([503, 'mine']);
    expect(await nobody.json()).toMatchObject({ error: { request_id: 'mine' } });
  });
});

describe('/health/ready of the front', () => {
  async function replicas(): Promise<Record<ServiceName, TestReplica>> {
    const started = await Promise.all(SERVICES.map((kind) => TestReplica.start(kind)));
    for (const each of started) answerJson(each, 200);
    return Object.fromEntries(started.map((each) => [each.kind, each])) as Record<
      ServiceName,
      TestReplica
    >;
  }

  function answerJson(replica: TestReplica, status: number, body: object = {}): void {
    replica.server.removeAllListeners('request').on('request', (request, response) => {
      if (request.url !== '/health/ready') response.writeHead(404);
      else response.writeHead(status, { 'access-control-allow-origin': 'http://localhost:1' });
      response.end(JSON.stringify(body));
    });
  }

  it('is 200 while every service has a replica that is ready', async () => {
    const all = await replicas();
    const url = await front(...Object.values(all));
    const answer = await fetch(`${url}/health/ready`);
    expect([answer.status, await answer.json()]).toEqual([
      200,
      {
        status: 'ok',
        checks: Object.fromEntries(SERVICES.map((service) => [service, 'ok'])),
      },
    ]);
    expect(answer.headers.get('access-control-allow-origin')).toBe('http://localhost:1');
    expect(answer.headers.get('cache-control')).toBe('no-store');
  });

  it('is 503 and names the services that have none', async () => {
    const { sessions, ...others } = await replicas();
    answerJson(others.completions, 503);
    others.gateway.isReady = false;
    const [away] = [await TestReplica.start('roaming')];
    away.server.close();
    const { completions, gateway, audit, analytics } = others;
    const url = await front(sessions, completions, gateway, away, audit, analytics);
    const answer = await fetch(`${url}/health/ready`);
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1']);
    expect(await answer.json()).toEqual({
      status: 'unavailable',
      missing: ['completions', 'gateway', 'roaming'],
      checks: {
        completions: 'unavailable',
        sessions: 'ok',
        gateway: 'unavailable',
        roaming: 'unavailable',
        audit: 'ok',
        analytics: 'ok',
      },
    });
    const head = await fetch(`${url}/health/ready`, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([503, '']);
  });

  it('needs one replica of a service, not all', async () => {
    const all = await replicas();
    const second = await TestReplica.start('completions');
    answerJson(second, 503);
    const url = await front(second, ...Object.values(all));
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);
  });

  it('refuses whom the services refuse', async () => {
    const all = await replicas();
    answerJson(all.sessions, 403, { error: { code: 'SBP_FORBIDDEN' } });
    const url = await front(...Object.values(all));
    const answer = await fetch(`${url}/health/ready`);
    expect([answer.status, await answer.json()]).toEqual([
      403,
      { error: { code: 'SBP_FORBIDDEN' } },
    ]);
  });
});
