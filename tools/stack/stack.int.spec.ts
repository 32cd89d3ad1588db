import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfigResourceTypes, Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { SERVICES } from '#libs/protocol';
import type { ServiceName } from '#libs/protocol';
import { startStack } from './index.js';
import type { Stack, StackEntry, StackOptions } from './index.js';

interface StubAnswer {
  readonly pid: number;
  readonly env: Readonly<Record<string, string>>;
}

const stub = fileURLToPath(new URL('./stubs/stub-service.ts', import.meta.url));

let dataDir: string;
let stack: Stack;

function perKind<T>(value: T): Record<ServiceName, T> {
  return Object.fromEntries(SERVICES.map((kind) => [kind, value])) as Record<ServiceName, T>;
}

function options(): StackOptions {
  const unique = path.basename(dataDir).replaceAll(/[^A-Za-z0-9]/g, '');
  return {
    dataDir,
    replicas: { completions: 2 },
    entryOf: perKind(stub),
    envOf: { sessions: { STUB_ONLY: 'sessions' } },
    infrastructure: {
      kafkaBrokers: inject('SBP_TEST_KAFKA_BROKERS'),
      postgresUrl: inject('SBP_TEST_POSTGRES_URL'),
    },
    topicPrefix: unique,
    database: unique,
  };
}

beforeAll(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'statebridge-stack-'));
  stack = await startStack(options());
});

afterAll(async () => {
  await stack.stop();
  await rm(dataDir, { recursive: true, force: true });
});

async function ask(pathname: string): Promise<StubAnswer> {
  const response = await fetch(`${stack.url}${pathname}`);
  expect(response.status).toBe(200);
  return (await response.json()) as StubAnswer;
}

async function stackFile(): Promise<readonly StackEntry[]> {
  const content = await readFile(path.join(dataDir, 'stack.json'), 'utf8');
  return (JSON.parse(content) as { readonly processes: readonly StackEntry[] }).processes;
}

function pidOf(name: string): number {
  return stack.process(name).pid;
}

describe('a stack', () => {
  it('routes each path to its service, and takes the replicas of a service in turn', async () => {
    expect((await ask('/health')).pid).toBe(pidOf('sessions-1'));
    expect((await ask('/v1/sbp/sessions/s-1?limit=1')).pid).toBe(pidOf('sessions-1'));
    expect((await ask('/v1/sbp/sessions/s-1/export')).pid).toBe(pidOf('roaming-1'));
    expect((await ask('/v1/sbp/ws/s-1')).pid).toBe(pidOf('gateway-1'));
    expect((await ask('/v1/sbp/audit?limit=1')).pid).toBe(pidOf('audit-1'));
    expect((await ask('/v1/sbp/analytics/usage')).pid).toBe(pidOf('analytics-1'));
    const pids = [await ask('/v1/chat/completions'), await ask('/nothing')].map(({ pid }) => pid);
    expect(pids.toSorted()).toEqual([pidOf('completions-1'), pidOf('completions-2')].toSorted());
  });

  it('gives all services one secret that only the owner can read, and each kind its own settings', async () => {
    const [sessions, completions] = [await ask('/health'), await ask('/v1/chat/completions')];
    expect(sessions.env['SBP_JWT_SECRET']).toBe(
      await readFile(path.join(dataDir, 'secret'), 'utf8'),
    );
    expect(completions.env['SBP_JWT_SECRET']).toBe(sessions.env['SBP_JWT_SECRET']);
    expect((await stat(path.join(dataDir, 'secret'))).mode & 0o777).toBe(0o600);
    expect(sessions.env).toMatchObject({
      SBP_BACKEND: 'kafka',
      SBP_HOST: '127.0.0.1',
      STUB_ONLY: 'sessions',
    });
    expect(completions.env).not.toHaveProperty('STUB_ONLY');
  });

  it('has created the topic of the log, which is kept for ever', async () => {
    const kafka = new Kafka({ brokers: stack.kafkaBrokers.split(','), logLevel: logLevel.NOTHING });
    const admin = kafka.admin();
    await admin.connect();
    try {
      const topic = `${stack.env['SBP_KAFKA_TOPIC_PREFIX'] ?? ''}.turns`;
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
      expect(topics[0]?.partitions).toHaveLength(12);
      const { resources } = await admin.describeConfigs({
        resources: [{ type: ConfigResourceTypes.TOPIC, name: topic }],
        includeSynonyms: false,
      });
      const config = new Map(
        resources[0]?.configEntries.map((entry) => [entry.configName, entry.configValue]),
      );
      expect(config.get('retention.ms')).toBe('-1');
      expect(config.get('cleanup.policy')).toBe('delete');
      expect(config.get('max.message.bytes')).toBe('10485760');
    } finally {
      await admin.disconnect();
    }
  });

  it('starts a killed service again on its address, and serves from the other replica meanwhile', async () => {
    const before = stack.process('completions-1');
    const [pid, url] = [before.pid, before.url];
    const exited = new Promise((resolve) => before.events.once('exit', resolve));
    stack.kill('completions-1', 'SIGKILL');
    await exited;
    expect((await ask('/v1/chat/completions')).pid).toBe(pidOf('completions-2'));
    expect((await stackFile()).map(({ name }) => name)).not.toContain('completions-1');
    await stack.whenReady();
    expect(pidOf('completions-1')).not.toBe(pid);
    expect(stack.process('completions-1').url).toBe(url);
    expect(await stackFile()).toContainEqual({
      name: 'completions-1',
      pid: pidOf('completions-1'),
      url,
    });
  });

  it('says 503 in the format of the protocol while no replica of a service runs', async () => {
    await stack.process('gateway-1').stop();
    const response = await fetch(`${stack.url}/v1/sbp/ws/s-1`);
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('1');
    expect(await response.json()).toMatchObject({
      error: { code: 'SBP_UPSTREAM_UNAVAILABLE', detail: null },
    });
    const readiness = await fetch(`${stack.url}/health/ready`);
    expect([readiness.status, await readiness.json()]).toMatchObject([
      503,
      { missing: ['gateway'] },
    ]);
    await stack.process('gateway-1').start();
    expect((await fetch(`${stack.url}/health/ready`)).status).toBe(200);
  });

  it('restarts a service with more settings, which it keeps', async () => {
    await stack.restart('sessions-1', { STUB_MORE: 'yes' });
    expect((await ask('/health')).env).toMatchObject({ STUB_MORE: 'yes', STUB_ONLY: 'sessions' });
    const { events } = stack.process('sessions-1');
    const back = new Promise<void>((resolve) => events.once('ready', resolve));
    stack.kill('sessions-1', 'SIGKILL');
    await back;
    expect((await ask('/health')).env).toHaveProperty('STUB_MORE', 'yes');
  });

  it('refuses a second stack on the same folder', async () => {
    await expect(startStack(options())).rejects.toThrow(/runs on .* already/);
    expect((await ask('/health')).pid).toBe(pidOf('sessions-1'));
  });
});
