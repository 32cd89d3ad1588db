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

/**
 * The relational store of one process: Postgres, or one SQLite file.
 *
 * `write` is one transaction, durable when it resolves; if it rejects, nothing of it happened
 * (except that Postgres may lose its connection at the very commit: then nobody knows). On SQLite
 * all writes go through one serial lane that commits everything that waits at once (group commit),
 * each job in its own savepoint, so a job that throws takes nobody with it, and a job must not wait
 * for another `write`. On Postgres writes run side by side. `read` sees everything that was
 * committed before it began; it never waits for the lane. Each of its statements sees a state of
 * its own. While the server cannot be reached both reject with the driver's error, and work again
 * when it is back.
 */
export abstract class Database {
  abstract readonly dialect: Dialect;
  /**
   * SQL expression: the database's clock, in ms since 1970, as an integer; it moves within a
   * transaction.
   */
  abstract readonly nowMs: string;
  abstract read<T>(work: (reader: EntityManager) => Promise<T>): Promise<T>;
  abstract write<T>(work: (transaction: EntityManager) => Promise<T>): Promise<T>;

  /**
   * As `write`, for exactly one statement: Postgres makes it a transaction by itself, without the
   * round trips around it.
   */
  writeOne<T>(statement: (writer: EntityManager) => Promise<T>): Promise<T> {
    return this.write(statement);
  }

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
