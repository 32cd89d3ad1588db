import type { EntityManager } from 'typeorm';
import type { Database } from '#libs/sql';
import type { Limit } from '#libs/timing';
import type { ConsumerPositions } from './consumer-positions.js';
import type { LogBatch, LogReader } from './ports/event-log.js';

/**
 * Something to do once a batch's transaction has committed; not done if the process dies in
 * between.
 */
export type AfterCommit = (action: () => void) => void;

export interface TransactionalReaderOptions {
  readonly consumer: string;
  readonly batchSize: number;
  readonly lingerMs?: number;
  readonly database: Database;
  readonly positions: ConsumerPositions;
  /**
   * Writes the batch's effects; a throw undoes them, and the position with them. Must not wait for
   * another `write`.
   */
  readonly effects: (
    batch: LogBatch,
    transaction: EntityManager,
    afterCommit: AfterCommit,
  ) => Promise<void>;
  /**
   * How many batches may be in a transaction at once: partitions are many, and whoever answers
   * requests needs connections too.
   */
  readonly transactions: Limit;
  readonly onProblem: (problem: string, error?: unknown) => void;
  readonly onCommitted?: (batch: LogBatch) => void;
  /**
   * Called before the position of a partition is first asked for, and again at the next ask if it
   * failed; nothing of the partition is read meanwhile.
   */
  readonly onAssigned?: (partition: number) => Promise<void>;
}

/**
 * A reader whose position moves in the transaction of its effects: each record has its effect
 * exactly once [A4].
 */
export function transactionalReader(options: TransactionalReaderOptions): LogReader {
  const { consumer, batchSize, lingerMs = 0, database, positions, transactions } = options;
  const { effects, onProblem, onCommitted, onAssigned } = options;
  const prepared = new Set<number>();

  const tell = (action: () => void): void => {
    try {
      action();
    } catch (error) {
      onProblem(`what ${consumer} does after its commit failed`, error);
    }
  };

  const prepare = async (partition: number): Promise<void> => {
    if (onAssigned === undefined || prepared.has(partition)) return;
    try {
      await onAssigned(partition);
      prepared.add(partition);
    } catch (error) {
      onProblem(`what ${consumer} does before it reads partition ${partition} failed`, error);
    }
  };

  return {
    consumer,
    batchSize,
    lingerMs,
    onProblem,
    position: async (partition) => {
      await prepare(partition);
      return positions.load(consumer, partition);
    },
    handle: async (batch) => {
      const actions: (() => void)[] = [];
      const advanced = await transactions.run(() =>
        database.write(async (transaction) => {
          if (!(await positions.advance(transaction, batch))) return false;
          await effects(batch, transaction, (action) => void actions.push(action));
          return true;
        }),
      );
      if (!advanced) return 'stale';
      actions.forEach(tell);
      if (onCommitted !== undefined) tell(() => onCommitted(batch));
      return 'done';
    },
  };
}
