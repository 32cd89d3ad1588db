import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { DataSource, EntityManager } from 'typeorm';
import { Counter } from '../counter.js';
import { dropTables, openDataSource, runMigrations } from '../data-source.js';
import type { DatabaseCounts, Schema, WriteOptions } from '../database.js';
import { Database } from '../database.js';
import { thrownByWork } from '../faults/driver-errors.js';
import { sql } from '../statement.js';
import { StorageFault } from '../faults/storage-fault.js';
import type { JobKind } from './write-lane.js';
import { WriteLane } from './write-lane.js';
import { Writer } from './writer.js';

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
  const counter = new Counter('sqlite');
  const shared = {
    type: 'better-sqlite3' as const,
    database: file,
    entities: [...entities],
    timeout: BUSY_TIMEOUT,
    logger: counter,
  };
  const writer = await openDataSource({
    ...shared,
    migrations: [...migrations],
    enableWAL: true,
  });
  let database: SqliteDatabase;
  try {
    const reader = await openDataSource({ ...shared, readonly: true });
    database = new SqliteDatabase(new Writer(writer, file), reader, counter);
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
    private readonly writer: Writer,
    private readonly reader: DataSource,
    private readonly counter: Counter,
  ) {
    super();
    this.lane = new WriteLane(writer, (durable) => counter.committed(durable));
  }

  async read<T>(work: (reader: EntityManager) => Promise<T>): Promise<T> {
    try {
      return await work(this.reader.manager);
    } catch (error) {
      throw thrownByWork(error);
    }
  }

  write<T>(
    work: (transaction: EntityManager) => Promise<T>,
    options: WriteOptions = {},
  ): Promise<T> {
    return this.run({ durable: options.durable === true, single: false }, work);
  }

  override writeOne<T>(
    statement: (writer: EntityManager) => Promise<T>,
    options: WriteOptions = {},
  ): Promise<T> {
    return this.run({ durable: options.durable === true, single: true }, statement);
  }

  counts(): DatabaseCounts {
    return this.counter.counts();
  }

  migrate(): Promise<void> {
    return this.write(runMigrations, { durable: true });
  }

  dropAll(keepTables: readonly string[]): Promise<void> {
    const drop = async (transaction: EntityManager): Promise<void> => {
      const { rows } = await sql(transaction)<{ name: string }>`
        SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'`;
      await dropTables(
        transaction,
        rows.map(({ name }) => name),
        keepTables,
      );
    };
    return this.write(drop, { durable: true });
  }

  /** Waits for the writes that have begun. */
  async close(): Promise<void> {
    this.closed = true;
    await this.lane.idle();
    if (this.reader.isInitialized) await this.reader.destroy();
    await this.writer.close();
  }

  private run<T>(kind: JobKind, work: (writer: EntityManager) => Promise<T>): Promise<T> {
    return this.closed
      ? Promise.reject(new StorageFault('unavailable', 'The database is closed.'))
      : this.lane.run(kind, work);
  }
}
