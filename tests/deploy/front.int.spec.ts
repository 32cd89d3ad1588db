import { createConnection } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { LIMITS, ROUTES, SERVICES, routeOf } from '#libs/protocol';
import type { ServiceName } from '#libs/protocol';
import { freePort } from '../../tools/infrastructure/index.js';
import { startNginx } from '../e2e/topology/nginx.js';
import type { Nginx } from '../e2e/topology/nginx.js';
import { StubService, breakOff, tell } from './stub-services.js';

const MIB = 1024 * 1024;
const COMPLETIONS = '/v1/chat/completions';

/** Answers for every service; completions has a second replica, and roaming is away. */
const stubs = new Map<string, StubService>();
let nginx: Nginx;

beforeAll(async () => {
  for (const name of [...SERVICES.filter((each) => each !== 'roaming'), 'completions-2'])
    stubs.set(name, await new StubService(name).start());
  const away = `127.0.0.1:${await freePort()}`;
  const addresses = Object.fromEntries(
    SERVICES.map((service) => [service, [stubs.get(service)?.address ?? away]]),
  ) as Record<ServiceName, string[]>;
  addresses.completions.push(stub('completions-2').address);
  // One that takes no connection.
  addresses.gateway.unshift(away);
  nginx = await startNginx(addresses, await freePort());
});

afterAll(async () => {
  await nginx.stop();
  await Promise.all([...stubs.values()].map((each) => each.stop()));
});

afterEach(() => {
  for (const each of stubs.values()) {
    each.received.length = 0;
    each.behaviour = tell;
  }
});

function stub(name: string): StubService {
  const found = stubs.get(name);
  if (found === undefined) throw new Error(`there is no stub ${name}`);
  return found;
}

const ask = (path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(`${nginx.url}${path}`, init);

/** What is sent as it stands; resolves with all that comes back. */
async function raw(bytes: string): Promise<string> {
  const { hostname, port } = new URL(nginx.url);
  const socket = createConnection(Number(port), hostname);
  socket.on('error', () => undefined).write(bytes);
  return text(socket);
}

async function errorOf(response: Response): Promise<Record<string, unknown>> {
  expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8');
  return ((await response.json()) as { error: Record<string, unknown> }).error;
}

describe('nginx in front', () => {
  const paths = ROUTES.map(({ path }) =>
    path.replace('{*path}', 'models/x').replaceAll(/\{[^}]+\}/g, 'some-id'),
  );
  const requests = [...new Set([...paths, '/v1/sbp/sessions/import', '/v1/chat/completions/x'])]
    .filter((path) => path !== '/metrics')
    .flatMap((path) => ['GET', 'POST', 'DELETE', 'PATCH', 'OPTIONS'].map((how) => [how, path]));

  it('sends every request of the route table where the table says', async () => {
    const differing: string[] = [];
    for (const [method = '', path = ''] of requests) {
      const { service } = routeOf(method, path) ?? { service: null };
      const wanted = service === 'all' ? 'sessions' : service;
      const answer = await ask(path, { method });
      await answer.arrayBuffer();
      const got = answer.status === 503 ? 'roaming' : answer.headers.get('x-stub');
      if (got?.replace('-2', '') !== wanted) differing.push(`${method} ${path}: ${String(got)}`);
    }
    expect(differing).toEqual([]);
  });

  it.each([
    '/',
    '/index.html',
    '/metrics',
    '/%6detrics',
    '//metrics',
    '/v1/models/../../metrics',
    '/v1',
    '/v1/',
    '/v1//models',
    '/v1/sbp',
    '/v1/sbp/unknown',
    '/v1/sbp/sessions/x/unknown',
    '/healthy',
  ])('answers %s itself, with 404 in the form of the contract', async (path) => {
    const answer = await raw(
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 404 /);
    expect(answer).toMatch(/\r\nx-request-id: [0-9a-f]{32}\r\n/);
    expect(answer).toContain('{"error":{"code":"SBP_INVALID_REQUEST"');
    expect([...stubs.values()].flatMap(({ received }) => received)).toEqual([]);
  });

  it('never sends a POST again that a service may have begun', async () => {
    for (const name of ['completions', 'completions-2']) stub(name).behaviour = breakOff;
    const answer = await ask(COMPLETIONS, { method: 'POST', body: '{}' });
    expect(answer.status).toBe(503);
    expect(answer.headers.get('x-should-retry')).toBe('false');
    expect(answer.headers.get('retry-after')).toBeNull();
    expect(await errorOf(answer)).toMatchObject({
      code: 'SBP_UPSTREAM_UNAVAILABLE',
      type: 'api_error',
      request_id: answer.headers.get('x-request-id'),
    });
    const all = ['completions', 'completions-2'].flatMap((name) => stub(name).received);
    expect(all).toHaveLength(1);
  });

  it('sends a GET again to another replica', async () => {
    stub('completions').behaviour = breakOff;
    for (let times = 0; times < 4; times++) {
      const answer = await ask('/v1/models');
      expect([answer.status, answer.headers.get('x-stub')]).toEqual([200, 'completions-2']);
    }
    expect(stub('completions').received).not.toEqual([]);
  });

  it('sends a POST to another replica where the first takes no connection', async () => {
    for (let times = 0; times < 4; times++) {
      const answer = await ask('/v1/sbp/sessions/x/mcp', { method: 'POST', body: '{}' });
      expect([answer.status, answer.headers.get('x-stub')]).toEqual([200, 'gateway']);
    }
  });

  it('says 503 and when to ask again while no replica takes a connection', async () => {
    for (const init of [{}, { method: 'POST', body: '{}' }]) {
      const answer = await ask('/v1/sbp/sessions/x/export', init);
      expect(answer.status).toBe(503);
      expect(answer.headers.get('retry-after')).toBe('1');
      expect(answer.headers.get('x-should-retry')).toBeNull();
      expect(await errorOf(answer)).toEqual({
        code: 'SBP_UPSTREAM_UNAVAILABLE',
        message: 'No service is available for this request at the moment.',
        detail: null,
        request_id: answer.headers.get('x-request-id'),
      });
    }
  });

  it('passes errors of a service as they are', async () => {
    stub('sessions').behaviour = (_request, response) => {
      response.writeHead(503, { 'retry-after': '7' }).end('its own words');
    };
    const answer = await ask('/v1/sbp/sessions');
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '7']);
    expect(await answer.text()).toBe('its own words');
  });

  it('refuses a body above the limit, said or found out, and lets one at the limit pass', async () => {
    const post = (bytes: number, chunked: boolean): Promise<Response> => {
      const body = new Uint8Array(bytes);
      const stream = new Blob([body]).stream();
      return ask(COMPLETIONS, {
        method: 'POST',
        ...(chunked ? { body: stream, duplex: 'half' } : { body }),
      });
    };
    for (const chunked of [false, true]) {
      const fitting = await post(LIMITS.requestBody, chunked);
      expect([fitting.status, await fitting.json()]).toEqual([200, { bytes: LIMITS.requestBody }]);
    }
    const refused = await post(LIMITS.requestBody + 1, false);
    expect(refused.status).toBe(413);
    expect(refused.headers.get('x-should-retry')).toBe('false');
    expect(await errorOf(refused)).toMatchObject({ code: 'SBP_PAYLOAD_TOO_LARGE' });
  });

  it("leaves the length of a body for the model's API to that API", async () => {
    const body = new Uint8Array(LIMITS.requestBody + MIB);
    const answer = await ask('/v1/files', { method: 'POST', body });
    expect(await answer.json()).toEqual({ bytes: body.length });
  });

  it('tells a service who asked, and not what the client claims', async () => {
    const headers = {
      'x-request-id': 'my-own_id.1',
      'x-forwarded-for': '203.0.113.7',
      'x-forwarded-port': '1',
      'x-real-ip': '203.0.113.7',
      forwarded: 'for=203.0.113.7',
    };
    await ask('/health', { headers });
    const [received] = stub('sessions').received;
    expect(received?.headers).toMatchObject({
      host: new URL(nginx.url).host,
      'x-request-id': 'my-own_id.1',
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
    });
    for (const name of ['forwarded', 'x-forwarded-port', 'x-real-ip'])
      expect(received?.headers[name]).toBeUndefined();
  });

  it('replaces a request id that no service would take', async () => {
    await ask('/health', { headers: { 'x-request-id': 'not/fit' } });
    expect(stub('sessions').received[0]?.headers['x-request-id']).toMatch(/^[0-9a-f]{32}$/);
  });

  it('passes the first bytes of a stream while the rest is still to come', async () => {
    const rest = Promise.withResolvers<undefined>();
    stub('completions').behaviour = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n');
      void rest.promise.then(() => response.end('data: 2\n\n'));
    };
    stub('completions-2').behaviour = stub('completions').behaviour;
    const answer = await ask(COMPLETIONS, { method: 'POST', body: '{}' });
    const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
    expect((await reader?.read())?.value).toBe('data: 1\n\n');
    rest.resolve(undefined);
    expect((await reader?.read())?.value).toBe('data: 2\n\n');
  });

  it.each([
    ['400', 'GET / HTTP/1.1\r\nHost: a b\r\n\r\n'],
    ['414', `GET /${'x'.repeat(40_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`],
    ['400', 'GET\r\n\r\n'],
    ['431', `GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: ${'x'.repeat(40_000)}\r\n\r\n`],
  ])('says %s to what is no request, in the form of the contract', async (status, bytes) => {
    const answer = await raw(bytes);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(answer).toContain('{"error":{"code":"SBP_INVALID_REQUEST"');
    expect(answer).not.toContain('<html>');
  });

  it('writes no path to its log, because a roaming token is part of one', async () => {
    await ask('/v1/sbp/token/a-secret-token');
    await ask('/v1/sbp/unknown/a-secret-token?q=a-secret-token');
    const output = await nginx.output();
    expect(output).toContain('"service":"roaming","status":503');
    expect(output).not.toContain('a-secret-token');
  });
});
