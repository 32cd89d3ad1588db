import { describe, expect, it } from 'vitest';
import { ProjectionProgress } from './projection-progress.js';

const LONG = 30_000;

/** Stored positions, and who asked for them. */
class Positions {
  readonly next = new Map<number, number>();
  asked = 0;
  underWay = 0;
  mostUnderWay = 0;
  broken = false;

  readonly load = async (): Promise<ReadonlyMap<number, number>> => {
    this.asked += 1;
    this.underWay += 1;
    this.mostUnderWay = Math.max(this.mostUnderWay, this.underWay);
    await new Promise((resolve) => setImmediate(resolve));
    this.underWay -= 1;
    if (this.broken) throw new Error('the database is away');
    return new Map(this.next);
  };
}

describe('waiting for the projection', () => {
  it('ends when the record at the offset is folded: its next offset is beyond it', async () => {
    const positions = new Positions();
    const progress = new ProjectionProgress(positions.load);
    positions.next.set(0, 5);
    expect(await progress.reached(0, 4, LONG)).toBe(true);
    expect(await progress.reached(0, 5, 20)).toBe(false);
    const waiting = progress.reached(0, 5, LONG);
    positions.next.set(0, 6);
    expect(await waiting).toBe(true);
  });

  it('asks no more for what was seen once', async () => {
    const positions = new Positions();
    const progress = new ProjectionProgress(positions.load);
    positions.next.set(0, 9);
    await progress.reached(0, 3, LONG);
    const { asked } = positions;
    expect(await progress.reached(0, 8, LONG)).toBe(true);
    expect(positions.asked).toBe(asked);
  });

  it('costs one poller and one statement for all partitions, however many wait', async () => {
    const positions = new Positions();
    const progress = new ProjectionProgress(positions.load);
    const waiting = Array.from({ length: 200 }, (_, index) =>
      progress.reached(index % 4, index, LONG),
    );
    for (const partition of [0, 1, 2, 3]) positions.next.set(partition, 1_000);
    expect(await Promise.all(waiting)).toEqual(waiting.map(() => true));
    expect(positions.mostUnderWay).toBe(1);
  });

  it('polls only while somebody waits, and again for the next who does', async () => {
    const positions = new Positions();
    const progress = new ProjectionProgress(positions.load);
    expect(await progress.reached(0, 0, 1)).toBe(false);
    await new Promise((resolve) => setTimeout(resolve, 30));
    const { asked } = positions;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(positions.asked).toBe(asked);
    positions.next.set(0, 1);
    expect(await progress.reached(0, 0, LONG)).toBe(true);
  });

  it('is told at once by a projection in the same process', async () => {
    const positions = new Positions();
    const progress = new ProjectionProgress(positions.load);
    const waiting = progress.reached(3, 7, LONG);
    progress.advanced(3, 7);
    progress.advanced(3, 8);
    expect(await waiting).toBe(true);
    progress.advanced(3, 2);
    expect(await progress.reached(3, 7, 1)).toBe(true);
  });

  it('knows what was seen without asking, and never goes back', () => {
    const progress = new ProjectionProgress(new Positions().load);
    expect(progress.hasReached(3, 0)).toBe(false);
    progress.advanced(3, 8);
    progress.advanced(3, 2);
    expect([progress.hasReached(3, 7), progress.hasReached(3, 8)]).toEqual([true, false]);
    expect(progress.hasReached(2, 0)).toBe(false);
  });

  it('outlasts a database that does not answer for a while', async () => {
    const positions = new Positions();
    const progress = new ProjectionProgress(positions.load);
    positions.broken = true;
    expect(await progress.reached(0, 0, 20)).toBe(false);
    const waiting = progress.reached(0, 0, LONG);
    positions.broken = false;
    positions.next.set(0, 1);
    expect(await waiting).toBe(true);
  });
});
