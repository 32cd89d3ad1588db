import { randomUUID } from 'node:crypto';
import { describe, expect, inject, it } from 'vitest';
import { createLogger } from '#libs/telemetry';
import { createDatabase } from '../../../../tools/infrastructure/index.js';
import type { Settings } from '../settings/settings.js';
import { parseSettings } from '../settings/settings.js';
import { migrate } from './migrate.js';
import { openStorage } from './storage.js';

const logger = createLogger('test', 'silent');

/** Settings for a Kafka and a Postgres that know nothing of this installation yet. */
async function fresh(): Promise<(partitions: number) => Settings> {
  const prefix = `migrate-${randomUUID()}`;
  const url = await createDatabase(inject('SBP_TEST_POSTGRES_URL'), prefix.replaceAll('-', '_'));
  return (partitions) =>
    parseSettings({
      SBP_BACKEND: 'kafka',
      SBP_KAFKA_BROKERS: inject('SBP_TEST_KAFKA_BROKERS'),
      SBP_KAFKA_TOPIC_PREFIX: prefix,
      SBP_KAFKA_PARTITIONS: String(partitions),
      SBP_POSTGRES_URL: url,
    });
}

describe('migrate', () => {
  it('prepares storage for the services, however often and from wherever it runs', async () => {
    const settings = (await fresh())(3);
    await expect(openStorage(settings, 'test', logger)).rejects.toThrow('it does not exist');

    const runs = await Promise.all([migrate(settings, logger), migrate(settings, logger)]);
    expect(runs[0]).toMatchObject({ partitions: 3 });
    expect(runs[1]).toEqual(runs[0]);

    const storage = await openStorage(settings, 'test', logger);
    await storage.log.check();
    await storage.close();
    expect(await migrate(settings, logger)).toEqual(runs[0]);
  });

  it('refuses a topic that was made with other partitions, and leaves it as it is', async () => {
    const settings = await fresh();
    await migrate(settings(3), logger);
    await expect(migrate(settings(4), logger)).rejects.toThrow('it has 3 partitions instead of 4');
    expect(await migrate(settings(3), logger)).toMatchObject({ partitions: 3 });
  });

  it('says that an embedded server needs none', async () => {
    await expect(migrate(parseSettings({}), logger)).rejects.toThrow(/^SBP_BACKEND: must be kafka/);
  });
});
