import { once } from 'node:events';
import { request } from 'node:http';
import { describe, expect, it } from 'vitest';
import { useScene } from '../testing/scene.js';
import { TestAgent } from '../testing/test-agent.js';
import type { TestGateway } from '../testing/test-gateway.js';

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
        answered.resolve(new Response(Buffer.concat(chunks), { status: response.statusCode ?? 0 }));
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
