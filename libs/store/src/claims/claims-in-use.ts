/**
 * The claims that something in this process looks after, by their turns. A claim in the table that
 * is held by this process and not among them is a leak: the database committed it and its answer
 * was lost, or whoever ran the turn failed. The heartbeat lets go of those.
 */
export class ClaimsInUse {
  private readonly turns = new Set<string>();

  has(turnId: string): boolean {
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

  /** Keeps the turn while a claim for it is tried, and further if it was won. */
  async during<T>(
    turnId: string,
    work: () => Promise<{ readonly outcome: T; readonly isHeld: boolean }>,
  ): Promise<T> {
    this.begin(turnId);
    let isHeld = false;
    try {
      const result = await work();
      isHeld = result.isHeld;
      return result.outcome;
    } finally {
      if (!isHeld) this.end(turnId);
    }
  }
}
