/** The waits of one call. They end, all at once, when its signal is aborted or it is stopped. */
export class Pacer {
  private stopped: { readonly reason: unknown } | null = null;
  private timer: NodeJS.Timeout | undefined;
  private reject: ((reason: Error) => void) | null = null;
  // One listener per call instead of one per wait: there are thousands of waits.
  private readonly onAbort = (): void => {
    this.stop(this.signal.reason);
  };

  constructor(private readonly signal: AbortSignal) {
    if (signal.aborted) this.stop(signal.reason);
    else signal.addEventListener('abort', this.onAbort, { once: true });
  }

  /** Makes the wait under way, and everything later, throw `reason`. */
  stop(reason: unknown): void {
    this.stopped ??= { reason };
    clearTimeout(this.timer);
    this.reject?.(reason as Error);
  }

  /** Throws when stopped. */
  check(): void {
    if (this.stopped !== null) throw this.stopped.reason;
  }

  /**
   * Waits until a time of `performance.now()`; a time in the past costs nothing, so that delays do
   * not add up.
   */
  async until(time: number): Promise<void> {
    const delay = time - performance.now();
    if (delay > 0) {
      await this.wait((resolve) => {
        this.timer = setTimeout(resolve, delay);
      });
    }
    this.check();
  }

  /** Lets other work of the process happen. */
  async breathe(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.check();
  }

  /** Waits for the end of the call. */
  async forever(): Promise<never> {
    await this.wait(() => undefined);
    throw new Error('unreachable: nothing resolves this wait');
  }

  /** Must be called when the call is over. */
  end(): void {
    clearTimeout(this.timer);
    this.signal.removeEventListener('abort', this.onAbort);
  }

  private wait(start: (resolve: () => void) => void): Promise<void> {
    this.check();
    return new Promise((resolve, reject) => {
      this.reject = reject;
      start(resolve);
    });
  }
}
