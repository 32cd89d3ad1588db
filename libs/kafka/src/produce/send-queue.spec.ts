import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SendQueue } from './send-queue.js';
import type { Group } from './send-queue.js';

interface Numbered extends Group {
  readonly number: number;
}

function group(partition: number, bytes: number, number = 0, messages = 1): Numbered {
  const none = { key: null, value: Buffer.alloc(0) };
  return {
    number,
    partition,
    bytes,
    messages: Array.from({ length: messages }, () => none),
    since: 0,
    settle: () => undefined,
    fail: () => undefined,
  };
}

const bounds = { bytesPerPartition: 100, bytesPerSend: 250, messagesPerPartition: 10 };

describe('what waits to be sent', () => {
  it('goes out completely, in order per partition, within the bounds or alone', () => {
    const anyGroups = fc.array(
      fc.tuple(
        fc.integer({ min: 0, max: 4 }),
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 1, max: 12 }),
      ),
      { maxLength: 60 },
    );
    const check = fc.property(anyGroups, (tuples) => {
      const queue = new SendQueue(bounds);
      const groups = tuples.map(([partition, bytes, messages], number) =>
        group(partition, bytes, number, messages),
      );
      for (const each of groups) queue.push(each);
      const sent: Group[] = [];
      while (queue.groups > 0) {
        const batch = queue.take();
        expect(batch.length).toBeGreaterThan(0);
        expectWithin(batch);
        sent.push(...batch);
      }
      expect(queue.bytes).toBe(0);
      for (const partition of [0, 1, 2, 3, 4]) {
        const mine = (each: Group): boolean => each.partition === partition;
        expect(sent.filter(mine)).toEqual(groups.filter(mine));
      }
    });
    fc.assert(check);
  });

  it('lets no partition with much to send hold up another', () => {
    const queue = new SendQueue(bounds);
    for (let n = 0; n < 100; n += 1) queue.push(group(0, 100));
    queue.push(group(1, 240));
    queue.push(group(2, 240));
    const partitions = [queue.take(), queue.take(), queue.take()]
      .flat()
      .map((each) => each.partition);
    expect(new Set(partitions)).toEqual(new Set([0, 1, 2]));
  });
});

function expectWithin(batch: readonly Group[]): void {
  const sum = (groups: readonly Group[]): number =>
    groups.reduce((bytes, each) => bytes + each.bytes, 0);
  if (batch.length > 1) expect(sum(batch)).toBeLessThanOrEqual(bounds.bytesPerSend);
  for (const partition of new Set(batch.map((each) => each.partition))) {
    const mine = batch.filter((each) => each.partition === partition);
    if (mine.length === 1) continue;
    expect(sum(mine)).toBeLessThanOrEqual(bounds.bytesPerPartition);
    expect(mine.flatMap((each) => each.messages).length).toBeLessThanOrEqual(
      bounds.messagesPerPartition,
    );
  }
}
