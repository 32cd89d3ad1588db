import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AuditResponse, UsageResponse } from '#libs/protocol';
import { startStack } from '../../tools/stack/index.js';
import type { Stack } from '../../tools/stack/index.js';
import { guardFolder } from '../../tools/supervise/index.js';
import { Agent } from './clients/agent.js';
import { eventually } from './clients/waiting.js';
import { runCommand } from './rebuild/command.js';
import { query } from './topology/postgres.js';
import { sharedStack } from './topology/stack.js';

const TABLES = {
  analytics: ['usage_counters', 'usage_sessions', 'usage_waiting'],
  audit: ['audit_records', 'audit_heads', 'audit_checkpoints'],
} as const;

let dataDir: string;
let stack: Stack;

beforeAll(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'statebridge-e2e-replay-'));
  guardFolder(dataDir);
  stack = await startStack(sharedStack(dataDir, `replay-${randomUUID()}`));
});

afterAll(async () => {
  await stack.stop();
  await rm(dataDir, { recursive: true, force: true });
});

/** Takes away all that a consumer has, its position in the log with it. */
async function forget(consumer: keyof typeof TABLES): Promise<void> {
  const service = stack.process(`${consumer}-1`);
  await service.stop();
  const database = stack.env['SBP_POSTGRES_URL'];
  for (const table of TABLES[consumer]) await query(database, `DELETE FROM ${table}`);
  await query(database, 'DELETE FROM consumer_positions WHERE consumer = $1', [consumer]);
  await service.start();
}

async function usage(): Promise<ReadonlyMap<string | undefined, number>> {
  const { json } = await new Agent(stack.url).get('analytics/usage?group_by=agent');
  const { rows } = UsageResponse.parse(json);
  return new Map(rows.map(({ agent, turns }) => [agent, turns.completed]));
}

async function trail(query: string): Promise<AuditResponse['records']> {
  const { json } = await new Agent(stack.url).get(`audit?limit=1000&${query}`);
  return AuditResponse.parse(json).records;
}

describe('beside turns that go on,', () => {
  // [SBP-OPS-01] [SBP-OPS-02]
  it('a replay from offset 0 gives the same usage and the same chain', async () => {
    const agents = Array.from({ length: 3 }, () => new Agent(stack.url));
    const answered = new Map(agents.map(({ id }) => [id, 0]));
    let over = false;
    const talk = async (agent: Agent): Promise<void> => {
      while (!over) {
        await agent.turn('Hello.');
        answered.set(agent.id, (answered.get(agent.id) ?? 0) + 1);
      }
    };
    const talking = Promise.all(agents.map(talk));
    talking.catch(() => undefined);
    const many = (least: number) =>
      eventually(() => expect(Math.min(...answered.values())).toBeGreaterThanOrEqual(least));

    const { sbp } = await new Agent(stack.url).turn('Once.');
    const ofSession = `session_id=${sbp.session_id}`;
    await many(5);
    await eventually(async () => expect(await trail(ofSession)).toHaveLength(3));
    const before = await trail(ofSession);
    await Promise.race([Promise.all([forget('analytics'), forget('audit')]), talking]);
    await many(Math.max(...answered.values()) + 5);
    over = true;
    await talking;

    await eventually(async () => {
      expect(Object.fromEntries(await usage())).toMatchObject(Object.fromEntries(answered));
    });
    await eventually(async () => expect(await trail(ofSession)).toEqual(before));
    const verified = await runCommand(['audit', 'verify', '--from-log'], stack.env);
    expect(verified).toMatchObject({ code: 0 });
  });
});
