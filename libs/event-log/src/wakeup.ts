/**
 * Lets one loop sleep until it is told that there may be work; a call before the sleep is not lost.
 */
export class Wakeup {
  private called = false;
  private wake: (() => void) | undefined;

  call(): void {
    this.called = true;
    this.wake?.();
  }

  /** Resolves at a call since the last `sleep`, or after `ms`. */
  async sleep(ms: number): Promise<void> {
    if (!this.called) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.wake = undefined;
    }
    this.called = false;
  }
}
