/** How many of something each principal has under way; whoever has none takes no room. */
export class LiveCounts {
  private readonly counts = new Map<string, number>();

  of(principal: string): number {
    return this.counts.get(principal) ?? 0;
  }

  enter(principal: string): void {
    this.counts.set(principal, this.of(principal) + 1);
  }

  leave(principal: string): void {
    const left = this.of(principal) - 1;
    if (left > 0) this.counts.set(principal, left);
    else this.counts.delete(principal);
  }
}
