import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:http';
import { describe, expect, it, vi } from 'vitest';
import { useScene } from '../testing/scene.js';
import { TestAgent } from '../testing/test-agent.js';
import type { TestGateway } from '../testing/test-gateway.js';
import { MAX_SESSION_SOCKETS, MAX_SOCKETS } from '../testing/test-gateway.js';

const scene = useScene();

describe('upgrades', () => {
  async function upgrade(
    gateway: TestGateway,
    path: string,
    headers: Record<string, string> = {},
  ): Promise<Response> {
    const answered = Promise.withResolvers<Response>();
    const sent = request(`${gateway.url}${path}`, {
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
        ...headers,
      },
    });
    sent.on('response', (response) => {
      void response.toArray().then((chunks: Buffer[]) => {
        const { statusCode: status = 0 } = response;
        const retryAfter = response.headers['retry-after'] ?? '';
        const headers = { 'retry-after': retryAfter };
        answered.resolve(new Response(Buffer.concat(chunks), { status, headers }));
      });
    });
    sent.on('error', answered.reject);
    sent.end();
    return answered.promise;
  }

  // [SBP-WS-11]
  it('to unknown paths get 404', async () => {
    const gateway = await scene.startGateway();
    const answer = await upgrade(gateway, '/v1/sbp/ws');
    expect(answer.status).toBe(404);
    expect(await answer.json()).toMatchObject({ error: { code: 'SBP_INVALID_REQUEST' } });
    expect((await upgrade(gateway, '/greeting')).status).toBe(404);
  });

  // [SBP-SEC-04]
  it('from foreign pages get 403', async () => {
    const gateway = await scene.startGateway();
    const answer = await upgrade(gateway, '/v1/sbp/ws/x', { origin: 'http://evil.example' });
    expect(answer.status).toBe(403);
    expect(await answer.json()).toMatchObject({ error: { code: 'SBP_FORBIDDEN' } });
  });

  // [SBP-LIM-04]
  it('beyond the gateway’s bound get 503 with Retry-After, until one has closed', async () => {
    const gateway = await scene.startGateway();
    const ids = Array.from({ length: MAX_SOCKETS }, () => randomUUID());
    const surfaces = await Promise.all(ids.map((id) => gateway.connect(id)));
    const answer = await upgrade(gateway, `/v1/sbp/ws/${randomUUID()}`);
    expect(answer.status).toBe(503);
    expect(await answer.json()).toMatchObject({ error: { code: 'SBP_UPSTREAM_UNAVAILABLE' } });
    expect(answer.headers.get('retry-after')).toBe('5');
    surfaces[0]?.socket.close(1000);
    await vi.waitFor(() => gateway.connect(randomUUID()), { timeout: 60_000, interval: 20 });
  });

  // [SBP-LIM-04]
  it('that only wait keep nobody out of a session: the oldest makes room', async () => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    const waiting = [];
    for (let at = 0; at < MAX_SESSION_SOCKETS; at++) {
      waiting.push(await gateway.connect(agent.sessionId));
    }
    const surface = await gateway.connect(agent.sessionId);
    expect(await waiting[0]?.closed).toMatchObject({ code: 1013 });
    surface.attach(agent.sessionId, await agent.token());
    await surface.next('SESSION_ATTACHED');
    expect(waiting.slice(1).every(({ socket }) => socket.readyState === socket.OPEN)).toBe(true);
  });

  it('leave the other requests of the application alone, also those that offer HTTP/2', async () => {
    const gateway = await scene.startGateway();
    expect(await (await fetch(`${gateway.url}/greeting`)).text()).toBe('hello');
    const answer = await upgrade(gateway, '/greeting', {
      upgrade: 'h2c',
      connection: 'Upgrade, HTTP2-Settings',
    });
    expect(await answer.text()).toBe('hello');
  });

  it('are possible for a session while others stay connected, without compression', async () => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    const surface = await gateway.connect(agent.sessionId);
    expect(surface.socket.extensions).toBe('');
    surface.socket.close(1000);
    await once(surface.socket, 'close');
  });
});
