import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SERVICES } from '#libs/protocol';
import { startStack } from '../../tools/stack/index.js';
import type { Stack } from '../../tools/stack/index.js';
import { guardFolder } from '../../tools/supervise/index.js';
import { Agent } from './clients/agent.js';
import { Surface } from './clients/surface.js';
import type { SessionKey } from './clients/surface.js';
import { sharedStack } from './topology/stack.js';

const GOING_AWAY = 1012;

let dataDir: string;
let stack: Stack;

beforeAll(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'statebridge-e2e-rolling-'));
  guardFolder(dataDir);
  stack = await startStack({
    ...sharedStack(dataDir, `rolling-${randomUUID()}`),
    restart: true,
    replicas: { completions: 2, gateway: 2, sessions: 2, roaming: 2 },
  });
});

afterAll(async () => {
  await stack.stop();
  await rm(dataDir, { recursive: true, force: true });
});

/** What a client does all the time; throws where one step does not succeed. */
async function use(agent: Agent): Promise<void> {
  const { sbp } = await agent.turn('Hello.');
  expect(await agent.session(sbp.session_id)).toMatchObject({ step_count: 1 });
  expect((await agent.export(sbp.session_id, {})).status).toBe(201);
  await attach(sbp);
}

/** A surface returns at once where its gateway goes away (1012), as the protocol tells it to. */
async function attach(key: SessionKey): Promise<void> {
  const surface = await Surface.connect(stack.url, key.session_id);
  surface.attach(key);
  try {
    await surface.next('SESSION_ATTACHED');
    await surface.close(1000);
  } catch (error) {
    if ((await surface.closed) !== GOING_AWAY) throw error;
    await attach(key);
  }
}

describe('a rolling restart behind the front', () => {
  it.each(SERVICES)('of %s lets every request succeed', async (service) => {
    const restarted = stack.services.filter(({ kind }) => kind === service);
    expect(restarted).toHaveLength(2);
    let over = false;
    let uses = 0;
    const client = async (): Promise<void> => {
      while (!over) {
        await use(new Agent(stack.url));
        uses += 1;
      }
    };
    const clients = [client(), client()];
    const work = Promise.all(clients);
    work.catch(() => undefined);
    for (const replica of restarted) {
      const before = uses;
      await expect.poll(() => uses, { timeout: 20_000 }).toBeGreaterThan(before + 2);
      const pid = replica.pid;
      const back = once(replica.events, 'ready');
      // Not by the supervisor, which would tell the front before.
      process.kill(pid, 'SIGTERM');
      await Promise.race([back, work]);
      expect(replica.pid).not.toBe(pid);
    }
    over = true;
    await work;
    expect(uses).toBeGreaterThan(5);
  });
});
