export interface PeriodicTaskOptions {
  /** From the end of one run to the beginning of the next, in ms. */
  readonly everyMs: number;
  readonly work: () => Promise<void>;
  /** Told of a run that failed; the next one comes all the same. */
  readonly onFault: (error: unknown) => void;
}

/** Does something again and again, and never twice at once. */
export class PeriodicTask {
  private timer: NodeJS.Timeout | null = null;
  private running = false;
  private ended: Promise<void> = Promise.resolve();
  private askedAgain = false;
  private stopped = false;

  constructor(private readonly options: PeriodicTaskOptions) {}

  /** The first run begins after one interval. */
  start(): void {
    this.schedule();
  }

  /** Runs it at once, or once more after the run in progress. */
  runNow(): void {
    if (this.stopped) return;
    if (this.running) {
      this.askedAgain = true;
      return;
    }
    clearTimeout(this.timer ?? undefined);
    this.run();
  }

  /** Begins no further run; resolves when the one in progress has ended. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer ?? undefined);
    await this.ended;
  }

  private schedule(): void {
    this.timer = setTimeout(() => this.run(), this.options.everyMs);
  }

  private run(): void {
    const { work, onFault } = this.options;
    this.running = true;
    this.ended = work()
      .catch(onFault)
      .finally(() => {
        this.running = false;
        if (this.stopped) return;
        if (this.askedAgain) {
          this.askedAgain = false;
          this.run();
        } else {
          this.schedule();
        }
      });
  }
}
