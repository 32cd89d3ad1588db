import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EntityManager, QueryRunner } from 'typeorm';

interface Job {
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
 * The one writer of a SQLite file: jobs run one after another, in the order in which they came, and
 * all that waits is committed together, so that the disk is waited for once. Each job has a
 * savepoint: one that throws is undone alone. A job is settled after the commit, never before [A2];
 * if the commit fails, so does every job of the group.
 */
export class WriteLane {
  private readonly waiting: Job[] = [];
  private running: Promise<void> | undefined;

  /**
   * @param runner gives the connection's query runner, asked for each group
   * @param reset opens the connection anew: the one way to be rid of a transaction that cannot be
   *   ended
   */
  constructor(
    private readonly runner: () => QueryRunner,
    private readonly reset: () => Promise<void>,
  ) {}

  run<T>(work: (transaction: EntityManager) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.waiting.push({
        run: work,
        settle: (outcome) => {
          if (outcome.type === 'done') resolve(outcome.value as T);
          else reject(outcome.error);
        },
      });
      this.running ??= this.drain();
    });
  }

  /** Resolves when nothing waits any more. */
  async idle(): Promise<void> {
    while (this.running !== undefined) await this.running;
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
      const runner = this.runner();
      await runner.startTransaction();
      // Jobs that come while the group runs join it.
      while (group.length < MAX_GROUP) {
        const job = this.waiting.shift();
        if (job === undefined) break;
        group.push(job);
        outcomes.push(await runInSavepoint(runner, job));
      }
      await runner.commitTransaction();
    } catch (error) {
      // Where not even a transaction can be begun, nothing that waits can be written.
      if (group.length === 0) group.push(...this.waiting.splice(0));
      await this.reset().catch(() => {
        // The next group finds the connection closed, and fails in its turn.
      });
      for (const [index, job] of group.entries()) {
        const outcome = outcomes[index];
        job.settle(outcome?.type === 'failed' ? outcome : failed(error));
      }
      return;
    }
    for (const [index, outcome] of outcomes.entries()) group[index]?.settle(outcome);
  }
}

function failed(error: unknown): Outcome {
  return { type: 'failed', error: error as Error };
}

/** Throws only if the savepoint cannot be ended: SQLite has then dropped the whole transaction. */
async function runInSavepoint(runner: QueryRunner, job: Job): Promise<Outcome> {
  await runner.startTransaction();
  let outcome: Outcome;
  try {
    outcome = { type: 'done', value: await job.run(runner.manager) };
  } catch (error) {
    await runner.rollbackTransaction();
    return failed(error);
  }
  await runner.commitTransaction();
  return outcome;
}
