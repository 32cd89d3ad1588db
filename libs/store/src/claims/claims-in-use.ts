/**
 * The claims that something in this process looks after, by their turns. A claim in the table that
 * is held by this process and not among them is a leak: the database committed it and its answer
 * was lost, or whoever ran the turn failed. The heartbeat lets go of those.
 */
export class ClaimsInUse {
  private readonly turns = new Set<string>();
  /** By turn, how many are about to stop it: each on a claim of its own. */
  private readonly stops = new Map<string, number>();

  has(turnId: string): boolean {
    return this.turns.has(turnId) || this.stops.has(turnId);
  }

  /** Whether its claim is held here, or being tried, for it to run. */
  isForRun(turnId: string): boolean {
    return this.turns.has(turnId);
  }

  /** From now on somebody looks after it. */
  begin(turnId: string): void {
    this.turns.add(turnId);
  }

  /** Nobody looks after it any more: if it is still held it is let go. */
  end(turnId: string): void {
    this.turns.delete(turnId);
  }

  /** Keeps the turn while `work` stops it, whether or not it runs in this process. */
  async whileStopping<T>(turnId: string, work: () => Promise<T>): Promise<T> {
    this.stops.set(turnId, (this.stops.get(turnId) ?? 0) + 1);
    try {
      return await work();
    } finally {
      const left = (this.stops.get(turnId) ?? 1) - 1;
      if (left === 0) this.stops.delete(turnId);
      else this.stops.set(turnId, left);
    }
  }

  /**
   * Keeps the turn while a claim for it is tried, and further if it was won; also where it was kept
   * before, because another claim of it is held.
   */
  async during<T>(
    turnId: string,
    work: () => Promise<{ readonly outcome: T; readonly isHeld: boolean }>,
  ): Promise<T> {
    let isHeld = this.turns.has(turnId);
    this.begin(turnId);
    try {
      const result = await work();
      isHeld ||= result.isHeld;
      return result.outcome;
    } finally {
      if (!isHeld) this.end(turnId);
    }
  }
}
