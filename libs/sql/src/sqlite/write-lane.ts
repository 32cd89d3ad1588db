import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EntityManager, QueryRunner } from 'typeorm';
import { storageFault, thrownByWork } from '../faults/driver-errors.js';
import { StorageFault } from '../faults/storage-fault.js';

/** What the lane needs of the one connection that writes. */
export interface WriterConnection {
  /** Opens it if it is closed. */
  runner(): Promise<QueryRunner>;
  inTransaction(): boolean;
  /** Resolves when all that was committed before the call is on the disk. */
  sync(): Promise<void>;
  /** Opens it anew: the one way to be rid of a transaction that cannot be ended. */
  reset(): Promise<void>;
}

export interface JobKind {
  readonly durable: boolean;
  /** One statement and no more, so that it is a transaction by itself. */
  readonly single: boolean;
}

interface Job extends JobKind {
  readonly run: (transaction: EntityManager) => Promise<unknown>;
  readonly settle: (outcome: Outcome) => void;
}

type Outcome =
  | { readonly type: 'done'; readonly value: unknown }
  | { readonly type: 'failed'; readonly error: Error };

/**
 * Jobs in one transaction at most: bounds what a failing commit takes with it, and how long the
 * first one waits.
 */
const MAX_GROUP = 500;

/**
 * The one writer of a SQLite file: jobs run one after another, in the order in which they came.
 * Those that wait are committed together. A relaxed job is settled after the commit; a durable one
 * after a sync that began then, while the lane goes on, so that the disk is waited for once and by
 * nobody else [A2]. If the commit fails, so does every job of the group.
 *
 * A statement that waits alone runs without a transaction around it. In a transaction the first job
 * has no savepoint: if it throws, the transaction is rolled back with nothing else in it. Nor has a
 * single statement, which SQLite undoes by itself. Each other job has one, so that it is undone
 * alone.
 */
export class WriteLane {
  private readonly waiting: Job[] = [];
  private running: Promise<void> | undefined;
  private readonly syncing = new Set<Promise<void>>();

  /** @param committed called after each commit: whether it was a durable one */
  constructor(
    private readonly connection: WriterConnection,
    private readonly committed: (durable: boolean) => void,
  ) {}

  run<T>(kind: JobKind, work: (transaction: EntityManager) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.waiting.push({
        ...kind,
        run: work,
        settle: (outcome) => {
          if (outcome.type === 'done') resolve(outcome.value as T);
          else reject(outcome.error);
        },
      });
      this.running ??= this.drain();
    });
  }

  /** Resolves when nothing waits any more, also not for the disk. */
  async idle(): Promise<void> {
    while (this.running !== undefined) await this.running;
    await Promise.all(this.syncing);
  }

  private async drain(): Promise<void> {
    while (this.waiting.length > 0) {
      await this.runGroup();
      // SQLite answers synchronously: without this, a lane that never empties would leave no turn
      // to the rest of the process.
      await nextTurn();
    }
    this.running = undefined;
  }

  private async runGroup(): Promise<void> {
    const group: Job[] = [];
    const outcomes: Outcome[] = [];
    try {
      const runner = await this.connection.runner();
      const [first, second] = this.waiting;
      const isCommitted =
        first?.single === true && second === undefined
          ? await this.runAlone(runner, group, outcomes)
          : await this.runTogether(runner, group, outcomes);
      this.settle(group, outcomes, isCommitted);
    } catch (error) {
      const fault = storageFault(error);
      // Where not even a transaction can be begun, nothing that waits can be written.
      if (group.length === 0) group.push(...this.waiting.splice(0));
      await this.connection.reset().catch(() => {
        // The next group finds the connection closed, and opens it or fails in its turn.
      });
      for (const [index, job] of group.entries()) {
        const outcome = outcomes[index];
        job.settle(outcome?.type === 'failed' ? outcome : { type: 'failed', error: fault });
      }
    }
  }

  private settle(group: readonly Job[], outcomes: readonly Outcome[], isCommitted: boolean): void {
    const durable: { readonly job: Job; readonly outcome: Outcome }[] = [];
    for (const [index, outcome] of outcomes.entries()) {
      const job = group[index];
      if (job === undefined) continue;
      if (job.durable && outcome.type === 'done') durable.push({ job, outcome });
      else job.settle(outcome);
    }
    if (isCommitted) this.committed(durable.length > 0);
    if (durable.length === 0) return;
    const synced = this.connection.sync().then(
      () => {
        for (const { job, outcome } of durable) job.settle(outcome);
      },
      (error: unknown) => {
        for (const { job } of durable) job.settle({ type: 'failed', error: storageFault(error) });
      },
    );
    this.syncing.add(synced);
    void synced.then(() => this.syncing.delete(synced));
  }

  private async runAlone(runner: QueryRunner, group: Job[], outcomes: Outcome[]): Promise<boolean> {
    const outcome = await runJob(runner, this.take(group));
    outcomes.push(outcome);
    return outcome.type === 'done';
  }

  /** Gives whether there was anything to commit. */
  private async runTogether(
    runner: QueryRunner,
    group: Job[],
    outcomes: Outcome[],
  ): Promise<boolean> {
    await runner.startTransaction();
    const outcome = await runJob(runner, this.take(group));
    outcomes.push(outcome);
    if (outcome.type === 'failed') {
      await runner.rollbackTransaction();
      return false;
    }
    this.mustBeInTransaction();
    // Jobs that come while the group runs join it.
    while (group.length < MAX_GROUP && this.waiting.length > 0) {
      const job = this.take(group);
      outcomes.push(await (job.single ? runJob(runner, job) : runInSavepoint(runner, job)));
      this.mustBeInTransaction();
    }
    await runner.commitTransaction();
    return true;
  }

  private take(group: Job[]): Job {
    const job = this.waiting.shift();
    if (job === undefined) throw new RangeError('nothing waits');
    group.push(job);
    return job;
  }

  /** SQLite drops a transaction by itself when the disk is full or broken, under whoever wrote. */
  private mustBeInTransaction(): void {
    if (!this.connection.inTransaction()) {
      throw new StorageFault('unavailable', 'SQLite has dropped the transaction.');
    }
  }
}

async function runJob(runner: QueryRunner, job: Job): Promise<Outcome> {
  try {
    return { type: 'done', value: await job.run(runner.manager) };
  } catch (error) {
    return { type: 'failed', error: thrownByWork(error) as Error };
  }
}

/** Throws only if the savepoint cannot be ended: SQLite has then dropped the whole transaction. */
async function runInSavepoint(runner: QueryRunner, job: Job): Promise<Outcome> {
  await runner.startTransaction();
  const outcome = await runJob(runner, job);
  if (outcome.type === 'done') await runner.commitTransaction();
  else await runner.rollbackTransaction();
  return outcome;
}
