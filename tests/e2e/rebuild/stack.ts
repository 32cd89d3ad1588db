import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Kafka, Partitioners, logLevel } from 'kafkajs';
import { inject } from 'vitest';
import { AUDIT_TABLES } from '#libs/audit';
import type { Stack } from '../../../tools/stack/index.js';
import { startStack } from '../../../tools/stack/index.js';
import { guardFolder } from '../../../tools/supervise/index.js';
import { query as queryAt } from '../topology/postgres.js';
import { sharedStack } from '../topology/stack.js';
import { runCommand, runRebuild } from './command.js';
import type { Settings } from '../topology/settings.js';
import type { Rebuildable } from './rebuildable.js';

/** Tables of a stack that a rebuild does not make. */
const KEPT = ['credentials', ...AUDIT_TABLES];

export async function rebuildableStack(settings: Settings = {}): Promise<Rebuildable> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'statebridge-rebuild-'));
  guardFolder(dataDir);
  const name = `rebuild-${randomUUID()}`;
  let stack: Stack | null = null;
  let env: NodeJS.ProcessEnv = {};
  const query = (text: string) => queryAt(env['SBP_POSTGRES_URL'], text);
  return {
    start: async () => {
      const shared = sharedStack(dataDir, name);
      stack = await startStack({ ...shared, env: { ...shared.env, ...settings } });
      env = stack.env;
      return stack.url;
    },
    stop: async () => stack?.stop(),
    emptyTables: async () => {
      const tables = await query(`SELECT tablename FROM pg_tables WHERE schemaname = 'public'`);
      for (const { tablename } of tables)
        if (!KEPT.includes(String(tablename))) await query(`TRUNCATE "${String(tablename)}"`);
    },
    rebuild: () => runRebuild([], env),
    write: async (sessionId, text) => {
      const brokers = inject('SBP_TEST_KAFKA_BROKERS').split(',');
      const producer = new Kafka({ brokers, logLevel: logLevel.NOTHING }).producer({
        createPartitioner: Partitioners.DefaultPartitioner,
      });
      await producer.connect();
      try {
        const messages = [{ key: sessionId, value: text }];
        await producer.send({ topic: `${name}.turns`, messages });
      } finally {
        await producer.disconnect();
      }
    },
    execute: async (statement) => {
      await query(statement);
    },
    command: (...args) => runCommand(args, env),
    rows: (table) => query(`SELECT * FROM ${table}`),
    remove: () => rm(dataDir, { recursive: true, force: true }),
  };
}
