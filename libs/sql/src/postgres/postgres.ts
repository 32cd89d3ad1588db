import type { DataSource, EntityManager } from 'typeorm';
import { within } from '#libs/timing';
import { Counter } from '../counter.js';
import { dropTables, openDataSource, runMigrations } from '../data-source.js';
import type { DatabaseCounts, Schema } from '../database.js';
import { Database } from '../database.js';
import { storageFault } from '../faults/driver-errors.js';
import { PostgresConnections } from './postgres-connections.js';
import { raw, sql } from '../statement.js';
import { StorageFault } from '../faults/storage-fault.js';

/** Names the advisory lock under which the schema is changed. */
const SCHEMA_LOCK = 0x5b9;
const POOL_SIZE = 10;

/**
 * Limits, in ms. Those that the server keeps come first, so that it says what took too long and the
 * connection lives on; the limit of the whole read or write is for a server that says nothing.
 */
const LIMITS = {
  /** The wait for a connection: for a new one, or for one that somebody else has. */
  connection: 5_000,
  lock: 5_000,
  statement: 10_000,
  /** A transaction whose client says nothing holds its locks no longer. */
  idleInTransaction: 10_000,
  whole: 12_000,
  opening: 12_000,
  /** Of a change of the schema: of each of its waits, and of the whole. */
  schema: 600_000,
} as const;

export interface PostgresOptions extends Schema {
  /** `postgres://user:password@host:port/database` */
  readonly url: string;
  /** The most connections. */
  readonly poolSize?: number;
}

/** Connects, or rejects with a `StorageFault`; `migrate` is the caller's to call. */
export async function openPostgres(options: PostgresOptions): Promise<Database> {
  const { url, entities, migrations, poolSize = POOL_SIZE } = options;
  const counter = new Counter('postgres');
  const opening = openDataSource({
    type: 'postgres',
    url,
    entities: [...entities],
    migrations: [...migrations],
    poolSize,
    connectTimeoutMS: LIMITS.connection,
    parseInt8: true,
    logger: counter,
    extra: {
      keepAlive: true,
      keepAliveInitialDelayMillis: LIMITS.statement,
      statement_timeout: LIMITS.statement,
      lock_timeout: LIMITS.lock,
      idle_in_transaction_session_timeout: LIMITS.idleInTransaction,
    },
    poolErrorHandler: () => {
      // An idle connection that was lost; the pool has let go of it, and whoever needs one next
      // gets it, or the error.
    },
  });
  const dataSource = await within(opening, LIMITS.opening).catch((error: unknown) => {
    throw storageFault(error);
  });
  if (dataSource === 'late') {
    // Its outcome is nobody's any more; should it open after all, nothing of it stays open.
    void opening.then((opened) => opened.destroy()).catch(() => undefined);
    throw new StorageFault('timeout', `Postgres did not answer in ${LIMITS.opening} ms.`);
  }
  return new PostgresDatabase(dataSource, counter);
}

class PostgresDatabase extends Database {
  readonly dialect = 'postgres';
  readonly nowMs = 'CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS bigint)';
  private readonly connections: PostgresConnections;

  constructor(
    private readonly dataSource: DataSource,
    private readonly counter: Counter,
  ) {
    super();
    this.connections = new PostgresConnections(dataSource);
  }

  read<T>(work: (reader: EntityManager) => Promise<T>): Promise<T> {
    return this.connections.use(({ manager }) => work(manager), LIMITS.whole);
  }

  async write<T>(work: (transaction: EntityManager) => Promise<T>): Promise<T> {
    const result = await this.connections.transaction(work, LIMITS.whole);
    this.counter.committed(true);
    return result;
  }

  override async writeOne<T>(statement: (writer: EntityManager) => Promise<T>): Promise<T> {
    const result = await this.read(statement);
    this.counter.committed(true);
    return result;
  }

  counts(): DatabaseCounts {
    return this.counter.counts();
  }

  migrate(): Promise<void> {
    return this.changeSchema(runMigrations);
  }

  dropAll(keepTables: readonly string[]): Promise<void> {
    return this.changeSchema(async (transaction) => {
      const { rows } = await sql(transaction)<{ name: string }>`
        SELECT tablename AS name FROM pg_tables WHERE schemaname = current_schema()`;
      await dropTables(
        transaction,
        rows.map(({ name }) => name),
        keepTables,
      );
    });
  }

  async close(): Promise<void> {
    if (this.dataSource.isInitialized) await this.dataSource.destroy();
  }

  /**
   * Processes that start at once wait for one another here; the lock ends with the transaction,
   * however that ends.
   */
  private async changeSchema(work: (transaction: EntityManager) => Promise<void>): Promise<void> {
    const limit = raw(`'${LIMITS.schema}'`);
    await this.connections.transaction(async (transaction) => {
      await sql(transaction)`
        SELECT set_config('statement_timeout', ${limit}, true), set_config('lock_timeout', ${limit}, true),
          set_config('idle_in_transaction_session_timeout', ${limit}, true)`;
      await sql(transaction)`SELECT pg_advisory_xact_lock(${SCHEMA_LOCK})`;
      await work(transaction);
    }, LIMITS.schema);
    this.counter.committed(true);
  }
}
