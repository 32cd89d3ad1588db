import { get } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { eventually, useScene } from '../testing/scene.js';
import { TestAgent } from '../testing/test-agent.js';
import type { TestGateway } from '../testing/test-gateway.js';
import { MOST_OF_SESSION } from './tool-changes.js';

const scene = useScene();
const open: ClientRequest[] = [];
afterEach(() => {
  vi.restoreAllMocks();
  for (const request of open.splice(0)) request.destroy();
});

/** A client that listens for changes, on a connection of its own. */
async function listener({ url }: TestGateway, agent: TestAgent) {
  const request = get(`${url}/v1/sbp/sessions/${agent.sessionId}/mcp`, {
    agent: false,
    headers: {
      accept: 'text/event-stream',
      authorization: `Bearer ${await agent.token()}`,
      'mcp-protocol-version': '2025-06-18',
    },
  });
  open.push(request);
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    request.once('response', resolve).on('error', reject);
  });
  return {
    request,
    status: answered.then(
      ({ statusCode }) => statusCode,
      () => null,
    ),
  };
}

// [SBP-L5-22]
describe('a client that listens for changes', () => {
  it('is one of a bounded number in its session, and makes room when it leaves', async () => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    const listeners = await Promise.all(
      Array.from({ length: MOST_OF_SESSION }, () => listener(gateway, agent)),
    );
    expect(await Promise.all(listeners.map(({ status }) => status))).toEqual(
      listeners.map(() => 200),
    );
    const next = async () => (await listener(gateway, agent)).status;
    expect(await next()).not.toBe(200);
    const other = await TestAgent.withTurns(scene.backend);
    expect(await (await listener(gateway, other)).status).toBe(200);
    listeners[0]?.request.destroy();
    await eventually(async () => (await next()) === 200);
  });

  it('holds no place where it left before it was let in', async () => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    const { freshness } = scene.backend;
    const letIn = Promise.withResolvers<undefined>();
    const latest = freshness.latest.bind(freshness);
    const asked = vi.spyOn(freshness, 'latest').mockImplementation(async (sessionId) => {
      await letIn.promise;
      return latest(sessionId);
    });
    const leaving = await Promise.all(
      Array.from({ length: MOST_OF_SESSION }, () => listener(gateway, agent)),
    );
    await eventually(() => Promise.resolve(asked.mock.calls.length === leaving.length));
    for (const { request } of leaving) request.destroy();
    await eventually(async () => (await gateway.connections()) === 0);
    letIn.resolve(undefined);
    await Promise.all(asked.mock.results.map(({ value }) => value as Promise<unknown>));
    expect(await (await listener(gateway, agent)).status).toBe(200);
  });
});
