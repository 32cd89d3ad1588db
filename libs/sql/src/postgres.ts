import type { DataSource, EntityManager } from 'typeorm';
import { dropTables, openDataSource, runMigrations } from './data-source.js';
import type { Schema } from './database.js';
import { Database } from './database.js';
import { sql } from './statement.js';

/** Names the advisory lock under which the schema is changed. */
const SCHEMA_LOCK = 0x5b9;
/** In ms. */
const CONNECT_TIMEOUT = 5_000;
const POOL_SIZE = 10;

export interface PostgresOptions extends Schema {
  /** `postgres://user:password@host:port/database` */
  readonly url: string;
  /** The most connections. */
  readonly poolSize?: number;
}

/** Connects, or rejects with the driver's error; `migrate` is the caller's to call. */
export async function openPostgres(options: PostgresOptions): Promise<Database> {
  const { url, entities, migrations, poolSize = POOL_SIZE } = options;
  const dataSource = await openDataSource({
    type: 'postgres',
    url,
    entities: [...entities],
    migrations: [...migrations],
    poolSize,
    connectTimeoutMS: CONNECT_TIMEOUT,
    parseInt8: true,
    extra: { keepAlive: true },
    poolErrorHandler: () => {
      // An idle connection that was lost; the pool has let go of it, and whoever needs one next
      // gets it, or the error.
    },
  });
  return new PostgresDatabase(dataSource);
}

class PostgresDatabase extends Database {
  readonly dialect = 'postgres';
  readonly nowMs = 'CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS bigint)';

  constructor(private readonly dataSource: DataSource) {
    super();
  }

  read<T>(work: (reader: EntityManager) => Promise<T>): Promise<T> {
    return work(this.dataSource.manager);
  }

  write<T>(work: (transaction: EntityManager) => Promise<T>): Promise<T> {
    return this.dataSource.transaction(work);
  }

  override writeOne<T>(statement: (writer: EntityManager) => Promise<T>): Promise<T> {
    return statement(this.dataSource.manager);
  }

  /**
   * Processes that start at once wait for one another here; the lock ends with the transaction,
   * however that ends.
   */
  migrate(): Promise<void> {
    return this.write(async (transaction) => {
      await sql(transaction)`SELECT pg_advisory_xact_lock(${SCHEMA_LOCK})`;
      await runMigrations(transaction);
    });
  }

  dropAll(keepTables: readonly string[]): Promise<void> {
    return this.write(async (transaction) => {
      await sql(transaction)`SELECT pg_advisory_xact_lock(${SCHEMA_LOCK})`;
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
}
