import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { Kafka, logLevel } from 'kafkajs';
import { Client } from 'pg';
import { createTopic } from '#libs/kafka';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  MissingProgramError,
  createDatabase,
  pythonWith,
  startKafka,
  startPostgres,
} from './index.js';

let dataDir: string;
const cleanups: (() => Promise<void>)[] = [];

beforeEach(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'statebridge-infrastructure-'));
});

afterEach(async () => {
  vi.unstubAllEnvs();
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await rm(dataDir, { recursive: true, force: true });
});

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

function kafkaClient(brokers: string): Kafka {
  return new Kafka({ brokers: brokers.split(','), logLevel: logLevel.NOTHING });
}

function newTopic(brokers: string, topic: string, replication: number): Promise<void> {
  const kafka = { brokers: brokers.split(','), clientId: 'test', onProblem: () => undefined };
  return createTopic(kafka, { topic, partitions: 1, replication, config: {} });
}

async function firstMessage(kafka: Kafka, topic: string): Promise<string | undefined> {
  const consumer = kafka.consumer({ groupId: 'reader', maxWaitTimeInMs: 50 });
  cleanups.push(() => consumer.disconnect());
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  return new Promise((resolve, reject) => {
    consumer
      .run({
        eachMessage: ({ message }) => {
          resolve(message.value?.toString());
          return Promise.resolve();
        },
      })
      .catch(reject);
  });
}

describe('Kafka', () => {
  it('keeps its messages and its address when it is started again on the same folder', async () => {
    const first = await startKafka({ dataDir });
    cleanups.push(() => first.stop({ discard: true }));
    await newTopic(first.brokers, 'kept', 1);
    const producer = kafkaClient(first.brokers).producer();
    await producer.connect();
    await producer.send({ topic: 'kept', acks: -1, messages: [{ value: 'still here' }] });
    await producer.disconnect();
    await first.stop();

    const second = await startKafka({ dataDir });
    cleanups.push(() => second.stop({ discard: true }));
    expect(second.brokers).toBe(first.brokers);
    expect(await firstMessage(kafkaClient(second.brokers), 'kept')).toBe('still here');
  });

  it('comes back on its own after it was killed', async () => {
    const kafka = await startKafka({ dataDir, restart: true });
    cleanups.push(() => kafka.stop({ discard: true }));
    const [broker] = kafka.processes;
    if (broker === undefined) throw new Error('no broker');
    const before = broker.pid;
    const exited = new Promise((resolve) => broker.events.once('exit', resolve));
    broker.kill('SIGKILL');
    await exited;
    await broker.whenReady();
    expect(broker.pid).not.toBe(before);
  });

  it('replicates a topic over three brokers', async () => {
    const kafka = await startKafka({ dataDir, brokers: 3 });
    cleanups.push(() => kafka.stop({ discard: true }));
    await newTopic(kafka.brokers, 'replicated', 3);
    const admin = kafkaClient(kafka.brokers).admin();
    await admin.connect();
    cleanups.push(() => admin.disconnect());
    const { topics } = await admin.fetchTopicMetadata({ topics: ['replicated'] });
    expect(topics[0]?.partitions[0]?.replicas).toHaveLength(3);
  });
});

describe('Postgres', () => {
  it('keeps its rows and its address when it is started again on the same folder', async () => {
    const first = await startPostgres({ dataDir });
    cleanups.push(() => first.stop({ discard: true }));
    const url = await createDatabase(first.url, 'kept');
    await query(url, 'CREATE TABLE note (text varchar(40))');
    await query(url, "INSERT INTO note VALUES ('still here')");
    await first.stop();

    const second = await startPostgres({ dataDir });
    cleanups.push(() => second.stop({ discard: true }));
    expect(await query(await createDatabase(second.url, 'kept'), 'SELECT text FROM note')).toEqual([
      { text: 'still here' },
    ]);
    expect(second.url).toBe(first.url);
  });

  it('ends a server that an earlier start left on the folder', async () => {
    const abandoned = await startPostgres({ dataDir });
    cleanups.push(() => abandoned.stop({ discard: true }));
    const next = await startPostgres({ dataDir });
    cleanups.push(() => next.stop({ discard: true }));
    expect(abandoned.process.child).toBeUndefined();
    expect(await query(next.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });
});

describe('Python', () => {
  const REQUIREMENTS = path.resolve(import.meta.dirname, '../../tests/e2e/python/requirements.txt');

  it.each([
    ['that is missing', null, 'there is no python3'],
    ['that is too old', 'echo 9 /usr/bin/python3 3.9.2', 'found 9 /usr/bin/python3 3.9.2'],
    ['without venv', 'case "$2" in *venv*) exit 1;; *) echo 11;; esac', 'its python3 has none'],
  ])('%s is named, with what to install', async (_case, script, found) => {
    const file = path.join(dataDir, 'python3');
    if (script !== null) await writeFile(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    vi.stubEnv('PATH', dataDir);
    const asked = pythonWith(REQUIREMENTS, () => undefined);
    await expect(asked).rejects.toBeInstanceOf(MissingProgramError);
    await expect(asked).rejects.toThrow(found);
    await expect(asked).rejects.toThrow('apt-get install python3-venv');
  });

  it('has the packages that were asked for', async () => {
    const python = await pythonWith(REQUIREMENTS, () => undefined);
    const { stdout } = await promisify(execFile)(python, ['-c', 'import openai; print("here")']);
    expect(stdout).toBe('here\n');
  }, 600_000);
});
