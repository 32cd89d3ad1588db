import type { PromisedSession } from '#libs/store';
import { Processes, ProcessIdentity, ProcessWatch, Promises } from '#libs/store';
import { PeriodicTask } from '#libs/timing';
import type { OnModuleDestroy, OnModuleInit } from '@nestjs/common';
import { Injectable } from '@nestjs/common';
import { RoamingOptions } from '../roaming-options.js';
import { PromiseKeeper } from './promise-keeper.js';

/** How often promises are looked for that nobody keeps, in ms. */
const SCAN_MS = 1_000;
/** A promise that could not be kept is tried again after so long at the most, in ms. */
const LONGEST_MS = 60_000;
/** Promises taken in one scan. */
const BATCH = 50;

/** Keeps the promises of processes that have died, and those of its own that had failed [A17]. */
@Injectable()
export class PromiseScan implements OnModuleInit, OnModuleDestroy {
  private readonly watch = new ProcessWatch();
  private readonly task: PeriodicTask;
  /** When those that failed are tried again, in ms of a clock that only rises. */
  private readonly failed = new Map<string, { readonly tries: number; readonly next: number }>();

  constructor(
    private readonly promises: Promises,
    private readonly processes: Processes,
    private readonly keeper: PromiseKeeper,
    private readonly identity: ProcessIdentity,
    private readonly options: RoamingOptions,
  ) {
    this.task = new PeriodicTask({
      everyMs: SCAN_MS,
      work: () => this.scan(),
      onFault: (error) => {
        this.watch.failed();
        options.onProblem('keeping promised sessions failed', error);
      },
    });
  }

  onModuleInit(): void {
    this.task.start();
    if (this.options.othersDead) this.task.runNow();
  }

  async onModuleDestroy(): Promise<void> {
    await this.task.stop();
  }

  private async scan(): Promise<void> {
    const makers = await this.promises.makers();
    if (makers.length === 0) return;
    const { othersDead } = this.options;
    const own = this.identity.address.incarnation;
    if (!othersDead) this.watch.observe(await this.processes.signs(), performance.now());
    const silent = makers.filter((maker) => {
      return maker === own || othersDead || this.watch.isSilent(maker);
    });
    const found = await this.promises.of(silent, BATCH);
    const now = performance.now();
    const left = found.filter(({ sessionId }) => {
      return !this.keeper.isKeeping(sessionId) && (this.failed.get(sessionId)?.next ?? 0) <= now;
    });
    await Promise.all(left.map((promise) => this.keep(promise)));
  }

  /** One that fails is tried again later, and then later still. */
  private async keep(promise: PromisedSession): Promise<void> {
    const { sessionId } = promise;
    try {
      await this.keeper.keep(promise);
      this.failed.delete(sessionId);
    } catch (error) {
      const tries = (this.failed.get(sessionId)?.tries ?? 0) + 1;
      const afterMs = Math.min(SCAN_MS * 2 ** tries, LONGEST_MS);
      this.failed.set(sessionId, { tries, next: performance.now() + afterMs });
      this.options.onProblem('a promised session was not opened yet', error);
    }
  }
}
