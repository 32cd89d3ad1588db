import type { EntityManager, MigrationInterface } from 'typeorm';

export type Dialect = 'sqlite' | 'postgres';

/** An entity class of TypeORM, as its decorators registered it. */
export type EntityClass = new () => object;

/**
 * A migration class of TypeORM. It must run on both dialects, and must leave a table alone that is
 * already there: after `dropAll` every migration runs again beside the tables that were kept. No
 * foreign keys: tables are dropped one by one.
 */
export type MigrationClass = new () => MigrationInterface;

export interface Schema {
  readonly entities: readonly EntityClass[];
  readonly migrations: readonly MigrationClass[];
}

export interface WriteOptions {
  /**
   * Whether the commit must be on the disk before the promise resolves. Default: no, see
   * `Database`.
   */
  readonly durable?: boolean;
}

/** What a database was asked for since it was opened. */
export interface DatabaseCounts {
  /** Sent to the database; BEGIN, COMMIT and SAVEPOINT count too. */
  readonly statements: number;
  /** Waits for an answer over the network; 0 on SQLite. */
  readonly roundTrips: number;
  /** Commits that waited for the disk, each for one sync; on Postgres every commit. */
  readonly durableCommits: number;
  /** Commits that did not wait for the disk. */
  readonly relaxedCommits: number;
}

/**
 * The relational store of one process: Postgres, or one SQLite file.
 *
 * `write` is one transaction; if it rejects, nothing of it happened (except that Postgres may lose
 * its connection at the very commit: then nobody knows). When it resolves it is committed. On
 * Postgres that is always durable. On SQLite a commit is *relaxed* unless `durable` is asked for: a
 * relaxed one survives the end of the process, also by `kill -9`, but a power cut may undo it; a
 * durable one survives both, and makes every commit before it durable as well, because all stand in
 * one write-ahead log that is synced as a whole.
 *
 * On SQLite all writes go through one serial lane, first in, first out. Writes of one kind (durable
 * or relaxed) that wait are committed together; one that throws is undone alone. A job must not
 * wait for another `write`. On Postgres writes run side by side.
 *
 * `read` sees everything that was committed before it began; it never waits for the lane. Each of
 * its statements sees a state of its own, and they run one after another, on one connection.
 *
 * A failure of the storage rejects with a `StorageFault`, which holds neither a statement's text
 * nor a value; what `work` itself throws passes unchanged. While the server cannot be reached all
 * reject, and work again when it is back. On Postgres no read or write takes longer than 12 s, with
 * all that its work waits for: then its connection is destroyed and the promise rejects.
 */
export abstract class Database {
  abstract readonly dialect: Dialect;
  /**
   * SQL expression: the database's clock, in ms since 1970, as an integer; it moves within a
   * transaction.
   */
  abstract readonly nowMs: string;
  abstract read<T>(work: (reader: EntityManager) => Promise<T>): Promise<T>;
  abstract write<T>(
    work: (transaction: EntityManager) => Promise<T>,
    options?: WriteOptions,
  ): Promise<T>;

  /**
   * As `write`, for exactly one statement, which is a transaction by itself: nothing is sent around
   * it. The work does nothing else that may throw, because the statement may be committed by then.
   */
  writeOne<T>(
    statement: (writer: EntityManager) => Promise<T>,
    options?: WriteOptions,
  ): Promise<T> {
    return this.write(statement, options);
  }

  /** A snapshot of the counts: a test takes two, and compares. */
  abstract counts(): DatabaseCounts;

  /**
   * Runs the migrations that have not run; one process at a time, all or none. SQLite runs them
   * when it is opened, too.
   */
  abstract migrate(): Promise<void>;
  /**
   * Drops every table of the schema but these, whatever state they are in, with the list of
   * migrations that have run: `migrate` then makes them anew. For a rebuild: nothing else may use
   * the database meanwhile.
   */
  abstract dropAll(keepTables: readonly string[]): Promise<void>;
  abstract close(): Promise<void>;
}
