import { join } from 'node:path';
import type { EventLog } from '#libs/event-log';
import { SqliteEventLog, eventLogEntities, eventLogMigrations } from '#libs/event-log';
import type { KafkaOptions } from '#libs/kafka';
import type { Mailbox } from '#libs/mailbox';
import { InProcessMailbox } from '#libs/mailbox';
import type { Database, Dialect, Schema } from '#libs/sql';
import { lockDirectory, openPostgres, openSqlite } from '#libs/sql';
import { storeEntities, storeMigrations } from '#libs/store';
import type { Logger } from '#libs/telemetry';
import { STORE_FILE } from '../settings/data-directory.js';
import type { BackendSettings, Settings } from '../settings/settings.js';

/** The adapters behind the ports: all that differs between embedded and services [A1]. */
export interface Storage {
  readonly log: EventLog;
  readonly database: Database;
  readonly mailbox: Mailbox;
  /** In words, for the banner and `/health`. */
  readonly description: string;
  /** Whether the storage is locked to this process, so that every other one is known to be dead. */
  readonly exclusive: boolean;
  close(): Promise<void>;
}

const NO_TABLES: Schema = { entities: [], migrations: [] };

/**
 * Opens log, database and mailboxes; `tables`: what the database has besides those that all
 * services share. @throws DirectoryInUse, TopicMismatch, StorageFault
 */
export async function openStorage(
  settings: Settings,
  name: string,
  logger: Logger,
  tables: Schema = NO_TABLES,
): Promise<Storage> {
  const { backend } = settings;
  return backend.type === 'embedded'
    ? openEmbedded(settings.dataDir, logger, tables)
    : openKafka(backend, name, logger, tables);
}

async function openEmbedded(dataDir: string, logger: Logger, tables: Schema): Promise<Storage> {
  const lock = await lockDirectory(dataDir);
  const database = await openSqlite({
    file: join(dataDir, STORE_FILE),
    ...schema('sqlite', tables),
  });
  const log = new SqliteEventLog(database);
  const mailbox = new InProcessMailbox((problem, error) => logger.error({ err: error }, problem));
  return {
    log,
    database,
    mailbox,
    description: 'embedded (SQLite, single-process)',
    exclusive: true,
    close: async () => {
      await closeAll([mailbox, log, database]);
      lock.release();
    },
  };
}

async function openKafka(
  backend: Extract<BackendSettings, { type: 'kafka' }>,
  name: string,
  logger: Logger,
  tables: Schema,
): Promise<Storage> {
  const {
    brokers,
    topicPrefix: prefix,
    partitions,
    replication,
    minIsr: minInsyncReplicas,
  } = backend;
  // Only here: Kafka's client takes 20 MB, which an embedded server can do without.
  const [{ KafkaEventLog }, { KafkaMailbox }] = await Promise.all([
    import('#libs/event-log/kafka'),
    import('#libs/mailbox/kafka'),
  ]);
  const onProblem = (problem: string, error?: unknown): void =>
    logger.warn({ err: error }, problem);
  const kafka: KafkaOptions = { brokers, clientId: `statebridge-${name}`, onProblem };
  const database = await openPostgresStore(backend.postgresUrl, tables);
  const log = await KafkaEventLog.open({
    kafka,
    prefix,
    partitions,
    replication,
    minInsyncReplicas,
  });
  const mailbox = new KafkaMailbox({ kafka, prefix, replication });
  return {
    log,
    database,
    mailbox,
    description: 'kafka (Kafka log, Postgres read models)',
    exclusive: false,
    close: () => closeAll([mailbox, log, database]),
  };
}

/** Claims and read models in Postgres, with the tables of this version. `tables`: more of them. */
export async function openPostgresStore(
  url: string,
  tables: Schema = NO_TABLES,
): Promise<Database> {
  const database = await openPostgres({ url, ...schema('postgres', tables) });
  await database.migrate();
  return database;
}

function schema(dialect: Dialect, { entities, migrations }: Schema): Schema {
  return {
    entities: [...eventLogEntities(dialect), ...storeEntities, ...entities],
    migrations: [...eventLogMigrations(dialect), ...storeMigrations, ...migrations],
  };
}

async function closeAll(parts: readonly { close(): Promise<void> }[]): Promise<void> {
  for (const part of parts) await part.close();
}
