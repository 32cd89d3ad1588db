/** How often the stored position is read while somebody waits for it, in ms. */
const POLL_MS = 5;

interface Waiter {
  readonly offset: number;
  readonly resolve: (reached: boolean) => void;
}

interface Partition {
  /** The projection's next offset, as last seen. */
  next: number;
  readonly waiters: Set<Waiter>;
  polling: boolean;
}

/**
 * Waits for the projection to pass a place in the log: one poller per partition, however many wait,
 * and none while nobody does [A5]. The stored position only rises, so what was seen once need not
 * be read again.
 */
export class ProjectionProgress {
  private readonly partitions = new Map<number, Partition>();

  constructor(private readonly load: (partition: number) => Promise<number>) {}

  /** Resolves true when the record at `offset` is folded, false after `timeoutMs`. */
  async reached(partition: number, offset: number, timeoutMs: number): Promise<boolean> {
    const entry = this.partition(partition);
    if (entry.next > offset) return true;
    return new Promise((resolve) => {
      const waiter: Waiter = {
        offset,
        resolve: (reached) => {
          clearTimeout(timer);
          entry.waiters.delete(waiter);
          resolve(reached);
        },
      };
      const timer = setTimeout(() => {
        waiter.resolve(false);
      }, timeoutMs);
      entry.waiters.add(waiter);
      if (!entry.polling) void this.poll(partition, entry);
    });
  }

  /** The projection runs in this process and has just committed. */
  advanced(partition: number, next: number): void {
    this.settle(this.partition(partition), next);
  }

  private partition(partition: number): Partition {
    let entry = this.partitions.get(partition);
    if (entry === undefined) {
      entry = { next: 0, waiters: new Set(), polling: false };
      this.partitions.set(partition, entry);
    }
    return entry;
  }

  private async poll(partition: number, entry: Partition): Promise<void> {
    entry.polling = true;
    while (entry.waiters.size > 0) {
      // A failed read is like no progress: the waiters have deadlines of their own.
      const next = await this.load(partition).catch(() => entry.next);
      this.settle(entry, next);
      if (entry.waiters.size > 0) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    entry.polling = false;
  }

  private settle(entry: Partition, next: number): void {
    entry.next = Math.max(entry.next, next);
    for (const waiter of entry.waiters) if (entry.next > waiter.offset) waiter.resolve(true);
  }
}
