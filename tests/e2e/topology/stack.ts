import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { inject } from 'vitest';
import type { Stack, StackOptions } from '../../../tools/stack/index.js';
import type { ServiceName } from '#libs/protocol';
import { startStack } from '../../../tools/stack/index.js';
import { guardFolder } from '../../../tools/supervise/index.js';
import type { Server } from './server.js';
import type { Settings } from './settings.js';
import { SETTINGS } from './settings.js';

/**
 * Options of a stack of the tests, on the Kafka and Postgres that they share; `name` keeps its log
 * and tables apart.
 */
export function sharedStack(dataDir: string, name: string): StackOptions {
  return {
    dataDir,
    restart: false,
    env: SETTINGS,
    infrastructure: {
      kafkaBrokers: inject('SBP_TEST_KAFKA_BROKERS'),
      postgresUrl: inject('SBP_TEST_POSTGRES_URL'),
    },
    topicPrefix: name,
    database: name.replaceAll('-', '_'),
  };
}

/** Of the services that most is asked of. */
export const TWO_EACH = { completions: 2, gateway: 2, sessions: 2, roaming: 2 };

/** A running stack as its users see it; it is stopped with `stop`. */
export function serverOn(stack: Stack, stop: Server['stop']): Server {
  return {
    url: stack.url,
    replicas: (service: ServiceName) => {
      const [first, second = first] = stack.services.filter((each) => each.kind === service);
      if (first === undefined || second === undefined)
        throw new Error(`the stack has no ${service}`);
      return { first: first.url, second: second.url };
    },
    stop,
  };
}

/** Every service as processes of its own. */
export async function startServices(settings: Settings = {}): Promise<Server> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'statebridge-e2e-stack-'));
  guardFolder(dataDir);
  const shared = sharedStack(dataDir, `e2e-${randomUUID()}`);
  const env = { ...shared.env, ...settings };
  const stack = await startStack({ ...shared, env, replicas: TWO_EACH });
  return serverOn(stack, async () => {
    await stack.stop();
    await rm(dataDir, { recursive: true, force: true });
  });
}
