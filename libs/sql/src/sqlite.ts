import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type SqliteFile from 'better-sqlite3';
import type { DataSource, EntityManager } from 'typeorm';
import { dropTables, openDataSource, runMigrations } from './data-source.js';
import type { Schema } from './database.js';
import { Database } from './database.js';
import { sql } from './statement.js';
import { WriteLane } from './write-lane.js';

/**
 * How long a statement waits for a lock: only another program that looks into the file can hold
 * one. In ms.
 */
const BUSY_TIMEOUT = 5_000;

export interface SqliteOptions extends Schema {
  /** Made if missing, with its directory. */
  readonly file: string;
}

/**
 * Opens the one file of an embedded server and brings its tables up to date. Hold the directory by
 * `lockDirectory` first.
 */
export async function openSqlite({ file, entities, migrations }: SqliteOptions): Promise<Database> {
  await mkdir(dirname(file), { recursive: true });
  const shared = {
    type: 'better-sqlite3' as const,
    database: file,
    entities: [...entities],
    timeout: BUSY_TIMEOUT,
  };
  const writer = await openDataSource({
    ...shared,
    migrations: [...migrations],
    enableWAL: true,
    // [A2]: a commit is on the disk when it returns, also if the machine loses its power.
    prepareDatabase: (connection: SqliteFile.Database) =>
      void connection.pragma('synchronous = FULL'),
  });
  let database: SqliteDatabase;
  try {
    const reader = await openDataSource({ ...shared, readonly: true });
    database = new SqliteDatabase(writer, reader);
  } catch (error) {
    await writer.destroy();
    throw error;
  }
  try {
    await database.migrate();
  } catch (error) {
    await database.close();
    throw error;
  }
  return database;
}

class SqliteDatabase extends Database {
  readonly dialect = 'sqlite';
  readonly nowMs = `CAST(ROUND(unixepoch('subsec') * 1000) AS INTEGER)`;
  private readonly lane: WriteLane;
  private closed = false;

  constructor(
    private readonly writer: DataSource,
    private readonly reader: DataSource,
  ) {
    super();
    this.lane = new WriteLane(
      () => writer.createQueryRunner(),
      async () => {
        if (writer.isInitialized) await writer.destroy();
        if (!this.closed) await writer.initialize();
      },
    );
  }

  read<T>(work: (reader: EntityManager) => Promise<T>): Promise<T> {
    return work(this.reader.manager);
  }

  write<T>(work: (transaction: EntityManager) => Promise<T>): Promise<T> {
    return this.closed ? Promise.reject(new Error('The database is closed.')) : this.lane.run(work);
  }

  migrate(): Promise<void> {
    return this.write(runMigrations);
  }

  dropAll(keepTables: readonly string[]): Promise<void> {
    return this.write(async (transaction) => {
      const { rows } = await sql(transaction)<{ name: string }>`
        SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'`;
      await dropTables(
        transaction,
        rows.map(({ name }) => name),
        keepTables,
      );
    });
  }

  /** Waits for the writes that have begun. */
  async close(): Promise<void> {
    this.closed = true;
    await this.lane.idle();
    if (this.reader.isInitialized) await this.reader.destroy();
    if (this.writer.isInitialized) await this.writer.destroy();
  }
}
