import type { EntityManager } from 'typeorm';

export type Dialect = 'sqlite' | 'postgres';

/**
 * The relational store of one process: Postgres, or one SQLite file.
 *
 * `write` is one transaction, durable when it resolves; if it rejects, nothing of it happened. On SQLite all writes go through
 * one serial lane that commits everything that waits at once (group commit), each job in its own savepoint, so a job that
 * throws takes nobody with it, and a job must not wait for another `write`. On Postgres writes run side by side.
 * `read` sees everything that was committed before it began; it never waits for the lane.
 */
export abstract class Database {
  abstract readonly dialect: Dialect;
  /** SQL expression: the database's clock, in ms since 1970, as an integer; it moves within a transaction. */
  abstract readonly nowMs: string;
  abstract read<T>(work: (reader: EntityManager) => Promise<T>): Promise<T>;
  abstract write<T>(work: (transaction: EntityManager) => Promise<T>): Promise<T>;
  abstract close(): Promise<void>;
}
