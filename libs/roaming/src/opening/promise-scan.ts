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
/** A promise that was not tried for so long after its time, in ms, has been kept elsewhere. */
const FORGOTTEN_MS = 600_000;
/** Promises that are kept in one scan. */
const BATCH = 50;
/** Ids that are read at once. */
const PAGE = 500;

/**
 * Keeps the promises of processes that have died, and those of its own that had failed [A17]. A
 * scan goes on behind the last id of the one before, so that no promise waits for ever behind
 * others that cannot be kept.
 */
@Injectable()
export class PromiseScan implements OnModuleInit, OnModuleDestroy {
  private readonly watch = new ProcessWatch();
  private readonly task: PeriodicTask;
  /** When those that failed are tried again, in ms of a clock that only rises. */
  private readonly failed = new Map<string, { readonly tries: number; readonly next: number }>();
  /** The id that the last scan ended with; empty where it came to the end. */
  private after = '';

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
    const due = await this.due(silent);
    await Promise.all(due.map((sessionId) => this.keep(sessionId)));
  }

  /** The next ones of which nobody here takes care, without those that wait for their next try. */
  private async due(makers: readonly string[]): Promise<readonly string[]> {
    const now = performance.now();
    const due: string[] = [];
    for (;;) {
      const page = await this.promises.openOf(makers, this.after, PAGE);
      for (const sessionId of page) {
        this.after = sessionId;
        const isWaiting = (this.failed.get(sessionId)?.next ?? 0) > now;
        if (!isWaiting && !this.keeper.isKeeping(sessionId)) due.push(sessionId);
        if (due.length === BATCH) return due;
      }
      if (page.length === PAGE) continue;
      this.after = '';
      this.forget(now);
      return due;
    }
  }

  /** What was due long ago and is not open any more. */
  private forget(now: number): void {
    for (const [sessionId, { next }] of this.failed) {
      if (next < now - FORGOTTEN_MS) this.failed.delete(sessionId);
    }
  }

  /** One that fails is tried again later, and then later still. */
  private async keep(sessionId: string): Promise<void> {
    try {
      const promise = await this.promises.find(sessionId);
      if (promise !== null && !promise.isKept) await this.keeper.keep(promise);
      this.failed.delete(sessionId);
    } catch (error) {
      const tries = (this.failed.get(sessionId)?.tries ?? 0) + 1;
      const afterMs = Math.min(SCAN_MS * 2 ** tries, LONGEST_MS);
      this.failed.set(sessionId, { tries, next: performance.now() + afterMs });
      this.options.onProblem('a promised session was not opened yet', error);
    }
  }
}
