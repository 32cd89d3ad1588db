import { randomUUID } from 'node:crypto';
import { expect, it, vi } from 'vitest';
import type { LogEvent } from '#libs/protocol';
import { ConsumerPositions } from '../consumer-positions.js';
import type { LogReader } from '../ports/event-log.js';
import { WAIT, eventOf, ids } from './log-fixture.contract.js';
import type { LogFixture } from './log-fixture.contract.js';

/** What every event log promises to several readers of one name, and to one that is slow. */
export function describeConcurrentReading(log: LogFixture): void {
  it('has each effect once though two readers of one name read at once', async () => {
    const session = randomUUID();
    const consumer = await log.consumerFromNow(session);
    const events = Array.from({ length: 60 }, (_, n) => eventOf(session, n));
    const one = await log.current.log.subscribe(log.noting(session, consumer, { batchSize: 3 }));
    const other = await log.current.log.subscribe(log.noting(session, consumer, { batchSize: 5 }));
    try {
      for (const event of events) await log.append(event);
      await vi.waitFor(
        async () => expect((await log.noted(consumer)).sort()).toEqual(ids(events).sort()),
        WAIT,
      );
    } finally {
      await Promise.all([one.close(), other.close()]);
    }
    const position = await new ConsumerPositions(log.current.database).load(
      consumer,
      log.partitionOf(session),
    );
    expect(position).toBe(await log.current.log.end(log.partitionOf(session)));
  });

  it('lets the second of two readers take over when the first closes', async () => {
    const session = randomUUID();
    const consumer = await log.consumerFromNow(session);
    const events = [eventOf(session, 1), eventOf(session, 2)] as const;
    const first = await log.current.log.subscribe(log.noting(session, consumer));
    await log.append(events[0]);
    await log.waitUntilNoted(consumer, [events[0]]);
    await log.whileReading(log.noting(session, consumer), async () => {
      await first.close();
      await log.append(events[1]);
      await vi.waitFor(
        async () => expect((await log.noted(consumer)).sort()).toEqual(ids(events).sort()),
        WAIT,
      );
    });
  });

  it('gives a reader no further batch of a partition while one is in its hands', async () => {
    const session = randomUUID();
    const consumer = await log.consumerFromNow(session);
    const gate = Promise.withResolvers<undefined>();
    const inHand = new Map<number, number>();
    let most = 0;
    const reader = log.noting(session, consumer, { batchSize: 1 });
    const slow: LogReader = {
      ...reader,
      handle: async (batch) => {
        const now = (inHand.get(batch.partition) ?? 0) + 1;
        inHand.set(batch.partition, now);
        most = Math.max(most, now);
        if (batch.partition === log.partitionOf(session)) await gate.promise;
        const outcome = await reader.handle(batch);
        inHand.set(batch.partition, (inHand.get(batch.partition) ?? 1) - 1);
        return outcome;
      },
    };
    await log.whileReading(slow, async () => {
      const events = [eventOf(session, 0)];
      await log.append(...(events as [LogEvent]));
      await vi.waitFor(() => expect(inHand.get(log.partitionOf(session))).toBe(1), WAIT);
      for (let n = 1; n <= 20; n += 1) {
        const event = eventOf(session, n);
        events.push(event);
        await log.append(event);
      }
      gate.resolve(undefined);
      await log.waitUntilNoted(consumer, events);
    });
    expect(most).toBe(1);
  });

  it('waits, when a subscription closes, for the batch in hand', async () => {
    const session = randomUUID();
    const consumer = await log.consumerFromNow(session);
    const event = eventOf(session, 1);
    const gate = Promise.withResolvers<undefined>();
    const taken = Promise.withResolvers<undefined>();
    const reader = log.noting(session, consumer);
    const subscription = await log.current.log.subscribe({
      ...reader,
      handle: async (batch) => {
        if (batch.partition === log.partitionOf(session)) {
          taken.resolve(undefined);
          await gate.promise;
        }
        return reader.handle(batch);
      },
    });
    await log.append(event);
    await taken.promise;
    const closed = subscription.close();
    gate.resolve(undefined);
    await closed;
    expect(await log.noted(consumer)).toEqual([event.id]);
    const position = await new ConsumerPositions(log.current.database).load(
      consumer,
      log.partitionOf(session),
    );
    expect(position).toBe(await log.current.log.end(log.partitionOf(session)));
  });
}
