import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject } from 'vitest';
import type { KafkaOptions } from '#libs/kafka';
import type { Database } from '#libs/sql';
import { openSqlite } from '#libs/sql';
import { describeEventLog } from '../event-log.contract.js';
import type { LogUnderTest } from '../event-log.contract.js';
import { eventLogEntities, eventLogMigrations } from '../schema.js';
import { KafkaEventLog } from './kafka-event-log.js';

const kafka: KafkaOptions = {
  brokers: inject('SBP_TEST_KAFKA_BROKERS').split(','),
  clientId: 'event-log-test',
  onProblem: () => undefined,
};

describeEventLog('Kafka', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'event-log-'));
  const database = await openSqlite({
    file: join(directory, 'positions.sqlite'),
    entities: eventLogEntities('sqlite'),
    migrations: eventLogMigrations('sqlite'),
  });
  return open(`log-${randomUUID()}`, directory, database);
});

async function open(prefix: string, directory: string, database: Database): Promise<LogUnderTest> {
  const log = await KafkaEventLog.open({
    kafka,
    prefix,
    partitions: 3,
    replication: 1,
    minInsyncReplicas: 1,
    create: true,
    producers: 2,
  });
  return {
    log,
    database,
    reopen: async () => {
      await log.close();
      return open(prefix, directory, database);
    },
    close: async () => {
      await log.close();
      await database.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
