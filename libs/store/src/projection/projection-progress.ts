import { backOff } from '#libs/timing';

/** How long the poller waits between two looks, in ms: at first, and at most. */
const POLL = { firstMs: 2, longestMs: 16 };

interface Waiter {
  readonly partition: number;
  readonly offset: number;
  readonly resolve: (reached: boolean) => void;
}

/**
 * Waits for the projection to pass a place in the log [A5]: one poller and one statement for all
 * partitions, however many wait, and none while nobody does. The stored positions only rise, so
 * what was seen once need not be read again.
 */
export class ProjectionProgress {
  private readonly next = new Map<number, number>();
  private readonly waiters = new Set<Waiter>();
  private isPolling = false;

  /** @param load the projection's next offset of each partition that it has begun */
  constructor(private readonly load: () => Promise<ReadonlyMap<number, number>>) {}

  /** Resolves true when the record at `offset` is folded, false after `timeoutMs`. */
  async reached(partition: number, offset: number, timeoutMs: number): Promise<boolean> {
    if (this.hasReached(partition, offset)) return true;
    return new Promise((resolve) => {
      const waiter: Waiter = {
        partition,
        offset,
        resolve: (reached) => {
          clearTimeout(timer);
          this.waiters.delete(waiter);
          resolve(reached);
        },
      };
      const timer = setTimeout(() => {
        waiter.resolve(false);
      }, timeoutMs);
      this.waiters.add(waiter);
      if (!this.isPolling) void this.poll();
    });
  }

  /** Whether it is known that the record at `offset` is folded. */
  hasReached(partition: number, offset: number): boolean {
    return (this.next.get(partition) ?? 0) > offset;
  }

  /** The projection was seen to be at `next`, or has just committed in this process. */
  advanced(partition: number, next: number): void {
    if (this.hasReached(partition, next - 1)) return;
    this.next.set(partition, next);
    for (const waiter of this.waiters) {
      if (waiter.partition === partition && next > waiter.offset) waiter.resolve(true);
    }
  }

  private async poll(): Promise<void> {
    this.isPolling = true;
    for (let looks = 1; this.waiters.size > 0; looks++) {
      // A failed read is like no progress, because the waiters have deadlines of their own.
      const seen = await this.load().catch(() => new Map<number, number>());
      for (const [partition, next] of seen) this.advanced(partition, next);
      if (this.waiters.size > 0) await backOff(looks, undefined, POLL);
    }
    this.isPolling = false;
  }
}
