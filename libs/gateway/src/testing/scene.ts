import { afterEach, beforeEach } from 'vitest';
import type { LogEvent } from '#libs/protocol';
import { TestBackend } from '#libs/testing';
import { pause } from '#libs/timing';
import type { SurfaceTimings } from '../surface-timings.js';
import type { TestAgent } from './test-agent.js';
import { TestGateway } from './test-gateway.js';
import type { TestSurface } from './test-surface.js';

/**
 * The context of a surface that answers every PING itself: what its WebSocket library answers
 * proves nothing.
 */
export const sdk = { acknowledges: true };

/** What one test plays on: a backend, and the gateways that the test starts on it. */
export interface Scene {
  readonly backend: TestBackend;
  startGateway(timings?: Partial<SurfaceTimings>): Promise<TestGateway>;
}

/** A scene for each test of the file. */
export function useScene(): Scene {
  let backend: TestBackend;
  const gateways: TestGateway[] = [];
  beforeEach(async () => {
    backend = await TestBackend.open();
  });
  afterEach(async () => {
    backend.log.obstacle = () => Promise.resolve();
    await Promise.all(gateways.splice(0).map((gateway) => gateway.stop()));
    await backend.close();
  });
  return {
    get backend() {
      return backend;
    },
    startGateway: async (timings) => {
      const gateway = await TestGateway.start(backend, timings);
      gateways.push(gateway);
      return gateway;
    },
  };
}

/** Connects and asks to attach. */
export async function attach(
  gateway: TestGateway,
  agent: TestAgent,
  context?: unknown,
): Promise<TestSurface> {
  const surface = await gateway.connect(agent.sessionId);
  surface.attach(agent.sessionId, await agent.token(), context);
  return surface;
}

/** Attaches, waits for the empty drain, and leaves, so that from now on every turn is owed. */
export async function visit(gateway: TestGateway, agent: TestAgent): Promise<void> {
  const surface = await attach(gateway, agent);
  await surface.next('SESSION_ATTACHED');
  surface.send({ type: 'DETACH' });
  await surface.closed;
}

export async function eventually(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await pause(10);
}

/**
 * Holds back the appends of a type: `held` resolves when the first is there, `go` lets them pass.
 */
export function hold(
  backend: TestBackend,
  type: LogEvent['type'],
): [held: Promise<undefined>, go: () => void] {
  const held = Promise.withResolvers<undefined>();
  const released = Promise.withResolvers<undefined>();
  backend.log.obstacle = async ([event]) => {
    if (event.type !== type) return;
    held.resolve(undefined);
    await released.promise;
  };
  return [held.promise, () => released.resolve(undefined)];
}
