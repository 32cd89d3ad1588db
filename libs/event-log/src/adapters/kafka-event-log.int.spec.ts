import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, inject, it, vi } from 'vitest';
import type { KafkaOptions } from '#libs/kafka';
import { KafkaProxy } from '#libs/kafka/testing';
import type { Database } from '#libs/sql';
import { openSqlite } from '#libs/sql';
import { describeEventLog } from '../event-log.contract.js';
import type { LogUnderTest } from '../event-log.contract.js';
import { LogUnavailable } from '../ports/event-log.js';
import type { LogReader } from '../ports/event-log.js';
import { eventLogEntities, eventLogMigrations } from '../schema.js';
import { KafkaEventLog } from './kafka-event-log.js';

const brokers = inject('SBP_TEST_KAFKA_BROKERS').split(',');
const kafka: KafkaOptions = { brokers, clientId: 'event-log-test', onProblem: () => undefined };

describeEventLog('Kafka', async () => start(kafka));

describeEventLog('Kafka, where every third answer to an append is lost', async () => {
  const proxy = await KafkaProxy.start(brokers[0] ?? '');
  let answers = 0;
  proxy.produceFate = () => {
    answers += 1;
    if (answers % 3 !== 0) return 'pass';
    return answers % 9 === 0 ? 'drop' : 'cut';
  };
  const started = await start({ ...kafka, connect: proxy.connect, requestTimeoutMs: 1000 });
  const close = async (): Promise<void> => {
    await started.close();
    await proxy.close();
    expect(answers).toBeGreaterThan(50);
  };
  return { ...started, close };
});

describe('an event log on Kafka', () => {
  it('refuses a topic that is not as its settings say, and says how it differs', async () => {
    const settings = {
      kafka,
      prefix: `log-${randomUUID()}`,
      partitions: 2,
      replication: 1,
      minInsyncReplicas: 1,
    };
    await expect(KafkaEventLog.open(settings)).rejects.toThrow(/does not exist/);
    await (await KafkaEventLog.open({ ...settings, create: true })).close();
    await (await KafkaEventLog.open(settings)).close();
    await expect(
      KafkaEventLog.open({ ...settings, partitions: 12, minInsyncReplicas: 2 }),
    ).rejects.toThrow(/2 partitions instead of 12; min.insync.replicas is 1 instead of 2/);
  });

  // [SBP-ERR-08]
  it('says that it is unavailable to whoever reads it while no broker answers', async () => {
    const proxy = await KafkaProxy.start(brokers[0] ?? '');
    const log = await KafkaEventLog.open({
      kafka: { ...kafka, connect: proxy.connect },
      prefix: `log-${randomUUID()}`,
      ...{ partitions: 1, replication: 1, minInsyncReplicas: 1, create: true },
    });
    await proxy.close();
    const reading = log.read(0, 0)[Symbol.asyncIterator]().next();
    for (const asked of [log.end(0), log.check(), reading]) {
      await expect(asked).rejects.toBeInstanceOf(LogUnavailable);
    }
    await log.close();
  });

  it('alarms a reader whose position lies behind the end, and hands it nothing', async () => {
    const prefix = `log-${randomUUID()}`;
    const settings = {
      kafka,
      prefix,
      partitions: 1,
      replication: 1,
      minInsyncReplicas: 1,
      create: true,
    };
    const log = await KafkaEventLog.open(settings);
    const problems: string[] = [];
    const handle = vi.fn<LogReader['handle']>(() => Promise.resolve('done'));
    await log.subscribe({
      consumer: 'ahead',
      batchSize: 10,
      position: () => Promise.resolve(5),
      handle,
      onProblem: (problem, error) => problems.push(`${problem}: ${String(error)}`),
    });
    await vi.waitFor(
      () => expect(problems.join()).toMatch(/ends at 0, before ahead's position 5/),
      {
        timeout: 20_000,
      },
    );
    await log.close();
    expect(handle).not.toHaveBeenCalled();
  });
});

async function start(options: KafkaOptions): Promise<LogUnderTest> {
  const directory = await mkdtemp(join(tmpdir(), 'event-log-'));
  const database = await openSqlite({
    file: join(directory, 'positions.sqlite'),
    entities: eventLogEntities('sqlite'),
    migrations: eventLogMigrations('sqlite'),
  });
  return open(options, `log-${randomUUID()}`, directory, database);
}

async function open(
  options: KafkaOptions,
  prefix: string,
  directory: string,
  database: Database,
): Promise<LogUnderTest> {
  const settings = {
    partitions: 3,
    replication: 1,
    minInsyncReplicas: 1,
    create: true,
    producers: 2,
  };
  const log = await KafkaEventLog.open({ kafka: options, prefix, ...settings });
  return {
    log,
    database,
    reopen: async () => {
      await log.close();
      return open(options, prefix, directory, database);
    },
    close: async () => {
      await log.close();
      await database.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
