import { backOff, pause } from '#libs/timing';
import type { LogBatch, LogReader } from '../ports/event-log.js';
import { Wakeup } from '../wakeup.js';

/** A look at the log though nothing was heard, in ms. */
const SAFETY_POLL = 1_000;
/** Before a batch is tried again, in ms: the first time, and at most. */
const RETRY = { firstMs: 50, longestMs: 2_000 };

/**
 * One reader of the one partition: a loop that hands over a batch, waits for its effects, and goes
 * on.
 */
export class SqliteSubscription {
  private readonly wakeup = new Wakeup();
  private readonly running: Promise<void>;
  private readonly closing = new AbortController();

  /** @param fetch the batch at a position, or undefined if there is nothing yet */
  constructor(
    private readonly reader: LogReader,
    private readonly fetch: (from: number) => Promise<LogBatch | undefined>,
  ) {
    this.running = this.run();
  }

  wake(): void {
    this.wakeup.call();
  }

  async close(): Promise<void> {
    this.closing.abort();
    this.wakeup.call();
    await this.running;
  }

  private async run(): Promise<void> {
    let position: number | undefined;
    let failures = 0;
    while (!this.closing.signal.aborted) {
      try {
        position = await this.step(position);
        failures = 0;
      } catch (error) {
        this.reader.onProblem(
          `${this.reader.consumer} failed at the log's position ${position ?? 'stored'}`,
          error,
        );
        position = undefined;
        failures += 1;
        // Not ended by news: what failed would most likely fail again.
        await backOff(failures, this.closing.signal, RETRY);
      }
    }
  }

  /** Gives the position to go on from; undefined if the stored one must be asked for. */
  private async step(known: number | undefined): Promise<number | undefined> {
    const position = known ?? (await this.reader.position(0));
    const batch = await this.fetch(position);
    if (batch === undefined) {
      await this.wakeup.sleep(SAFETY_POLL);
      await this.linger();
      return position;
    }
    if ((await this.reader.handle(batch)) === 'stale') return undefined;
    if (batch.live) await this.linger();
    return batch.next;
  }

  /** At the log's end: what comes meanwhile is read together. */
  private async linger(): Promise<void> {
    const { lingerMs = 0 } = this.reader;
    if (lingerMs > 0) await pause(lingerMs, this.closing.signal);
  }
}
