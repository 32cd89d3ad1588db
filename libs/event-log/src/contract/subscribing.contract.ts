import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import type { LogEvent } from '#libs/protocol';
import { ConsumerPositions } from '../consumer-positions.js';
import type { LogBatch, LogReader, LogRecord } from '../ports/event-log.js';
import { eventOf } from './log-fixture.contract.js';
import type { LogFixture } from './log-fixture.contract.js';

/** What every event log promises to a reader: everything, in order, from its stored position. */
export function describeSubscribing(log: LogFixture): void {
  it('delivers to a reader all that was there before it, then all that comes, in order, once', async () => {
    const session = randomUUID();
    const old = Array.from({ length: 30 }, (_, n) => eventOf(session, n));
    await Promise.all(old.map((event) => log.append(event)));
    const consumer = randomUUID();
    await log.whileReading(log.noting(session, consumer, { batchSize: 7 }), async () => {
      await log.waitUntilNoted(consumer, old);
      const fresh = Array.from({ length: 30 }, (_, n) => eventOf(session, n));
      await Promise.all(fresh.map((event) => log.append(event)));
      await log.waitUntilNoted(consumer, [...old, ...fresh]);
    });
  });

  it('gives batches that follow one another, bounded, and says which reaches the end', async () => {
    const session = randomUUID();
    const consumer = await log.consumerFromNow(session);
    const events = Array.from({ length: 9 }, (_, n) => eventOf(session, n));
    await log.append(...(events as [LogEvent]));
    const end = await log.current.log.end(log.partitionOf(session));
    const batches: LogBatch[] = [];
    const reader = log.noting(session, consumer, {
      batchSize: 4,
      effects: (batch) => {
        if (batch.partition === log.partitionOf(session)) batches.push(batch);
        return Promise.resolve();
      },
    });
    await log.whileReading(reader, () => log.waitUntilNoted(consumer, events));

    expect(Math.max(...batches.map(({ records }) => records.length))).toBeLessThanOrEqual(4);
    for (const [n, batch] of batches.entries()) {
      expect(batch.consumer).toBe(consumer);
      expect(batch.from).toBe(batches[n - 1]?.next ?? batch.from);
      expect(batch.records.at(-1)?.position.offset).toBeLessThan(batch.next);
      expect(batch.live).toBe(batch.next >= end);
    }
  });

  it('lets a reader go on from its stored position', async () => {
    const session = randomUUID();
    const consumer = await log.consumerFromNow(session);
    const events = [eventOf(session, 1), eventOf(session, 2)] as const;
    await log.append(events[0]);
    await log.whileReading(log.noting(session, consumer), () =>
      log.waitUntilNoted(consumer, [events[0]]),
    );
    await log.append(events[1]);
    await log.whileReading(log.noting(session, consumer), () =>
      log.waitUntilNoted(consumer, events),
    );
  });

  it('delivers again after a throw; what the handler wrote before it, and the position, are undone', async () => {
    const session = randomUUID();
    const consumer = await log.consumerFromNow(session);
    const partition = log.partitionOf(session);
    const positions = new ConsumerPositions(log.current.database);
    const begin = await positions.load(consumer, partition);
    const events = [eventOf(session, 1), eventOf(session, 2), eventOf(session, 3)] as const;
    await log.append(...events);
    const problems: unknown[] = [];
    const stored: number[] = [];
    const left: string[] = [];
    const attempts: number[] = [];
    let failures = 0;
    const reader = log.noting(session, consumer, {
      batchSize: 2,
      onProblem: (_problem, error) => problems.push(error),
      effects: (batch) => {
        if (batch.partition !== partition) return Promise.resolve();
        attempts.push(batch.from);
        if ((failures += 1) <= 2) return Promise.reject(new Error('no room'));
        return Promise.resolve();
      },
    });
    const observed: LogReader = {
      ...reader,
      position: async (asked) => {
        const position = await reader.position(asked);
        if (asked === partition) {
          stored.push(position);
          left.push(...(await log.noted(consumer)));
        }
        return position;
      },
    };
    await log.whileReading(observed, () => log.waitUntilNoted(consumer, events));
    expect(attempts.slice(0, 3)).toEqual([begin, begin, begin]);
    expect(stored.length).toBeGreaterThanOrEqual(3);
    expect(new Set(stored)).toEqual(new Set([begin]));
    expect(left).toEqual([]);
    expect(
      problems.filter((problem) => problem instanceof Error && problem.message === 'no room'),
    ).toHaveLength(2);
  });

  it('asks a stale reader for its position again, and goes on from there', async () => {
    const session = randomUUID();
    const consumer = await log.consumerFromNow(session);
    const events = [eventOf(session, 1), eventOf(session, 2)] as const;
    await log.append(events[0]);
    await log.whileReading(log.noting(session, consumer), () =>
      log.waitUntilNoted(consumer, [events[0]]),
    );
    await log.append(events[1]);

    const reader = log.noting(session, consumer);
    const outcomes: string[] = [];
    const asked: number[] = [];
    const late: LogReader = {
      ...reader,
      position: (partition) => {
        if (partition !== log.partitionOf(session)) return reader.position(partition);
        asked.push(partition);
        return asked.length === 1 ? Promise.resolve(0) : reader.position(partition);
      },
      handle: async (batch) => {
        const outcome = await reader.handle(batch);
        if (batch.partition === log.partitionOf(session)) outcomes.push(outcome);
        return outcome;
      },
    };
    await log.whileReading(late, () => log.waitUntilNoted(consumer, events));
    expect(outcomes[0]).toBe('stale');
    expect(asked.length).toBeGreaterThan(1);
  });

  it('hands over what this version cannot read, as it stands and with the reason', async () => {
    const session = randomUUID();
    const consumer = await log.consumerFromNow(session);
    const known = eventOf(session, 1);
    const unknown = {
      ...eventOf(session, 2),
      type: 'session.of_the_future',
    } as unknown as LogEvent;
    const malformed = { ...eventOf(session, 3), data: { seq: 'three' } } as unknown as LogEvent;
    const last = eventOf(session, 4);
    const { partition, offset } = await log.append(known, unknown, malformed, last);

    const written = [known, unknown, malformed, last].map((event) => JSON.stringify(event));

    const read: LogRecord[] = [];
    for await (const batch of log.current.log.read(partition, offset - 3)) read.push(...batch);
    const seen: LogRecord[] = [];
    const reader = log.noting(session, consumer, {
      effects: ({ records }) => {
        seen.push(...records.filter(({ key }) => key === session));
        return Promise.resolve();
      },
    });
    await log.whileReading(reader, () => log.waitUntilNoted(consumer, [known, last]));
    for (const records of [read.slice(0, 4), seen]) {
      expect(records.map(({ event }) => event)).toEqual([known, null, null, last]);
      expect(records.map(({ unread }) => unread?.reason)).toEqual([
        undefined,
        'unknown_type',
        'malformed',
        undefined,
      ]);
      expect(records.map(({ key, text }) => [key, text])).toEqual(
        written.map((text) => [session, text]),
      );
    }
  });
}
