import type { Schema } from '#libs/sql';
import type { Logger } from '#libs/telemetry';
import { openPostgresStore } from './storage.js';
import { InvalidSettings } from '../settings/settings.js';
import type { Settings } from '../settings/settings.js';

/** What `migrate` found or made. */
export interface Migrated {
  readonly topic: string;
  readonly partitions: number;
}

/**
 * Prepares Kafka and Postgres for the services: makes the log's topic unless it is there, and the
 * tables as this version needs them. It may be run again at any time, and by several processes at
 * once. `tables`: those of single services.
 *
 * @throws InvalidSettings for an embedded backend, TopicMismatch for a topic that is set otherwise,
 *   StorageFault
 */
export async function migrate(
  settings: Settings,
  logger: Logger,
  tables?: Schema,
): Promise<Migrated> {
  const { backend } = settings;
  if (backend.type === 'embedded') {
    throw new InvalidSettings([
      'SBP_BACKEND: must be kafka for migrate; an embedded server prepares its storage when it starts',
    ]);
  }
  const [{ turnsTopic }, { ensureTopic }] = await Promise.all([
    import('#libs/event-log/kafka'),
    import('#libs/kafka'),
  ]);
  const { brokers, topicPrefix: prefix, partitions, replication, minIsr } = backend;
  const spec = turnsTopic({ prefix, partitions, replication, minInsyncReplicas: minIsr });
  const onProblem = (problem: string, error?: unknown): void =>
    logger.warn({ err: error }, problem);
  await ensureTopic({ brokers, clientId: 'statebridge-migrate', onProblem }, spec);
  const database = await openPostgresStore(backend.postgresUrl, tables);
  await database.close();
  return { topic: spec.topic, partitions };
}
