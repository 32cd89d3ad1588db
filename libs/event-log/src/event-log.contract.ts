import { randomUUID } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { LogEvent } from '#libs/protocol';
import { LIMITS } from '#libs/protocol';
import type { Database } from '#libs/sql';
import { sql } from '#libs/sql';
import { ConsumerPositions } from './consumer-positions.js';
import type {
  EventLog,
  LogBatch,
  LogReader,
  LogRecord,
  LogSubscription,
} from './ports/event-log.js';
import { transactionalReader } from './transactional-reader.js';

export interface LogUnderTest {
  readonly log: EventLog;
  /**
   * Where readers keep positions and effects; opened with the event log's entities and migrations,
   * and migrated.
   */
  readonly database: Database;
  /**
   * Closes the log, with the database where it is in it, and opens the same storage again, as a new
   * process would.
   */
  reopen(): Promise<LogUnderTest>;
  close(): Promise<void>;
}

const WAIT = { timeout: 30_000, interval: 20 };

/**
 * What every adapter of `EventLog` promises. Each test has sessions and consumers of its own, so
 * the log may be shared.
 */
export function describeEventLog(name: string, makeLog: () => Promise<LogUnderTest>): void {
  describe(`event log: ${name}`, () => {
    let current: LogUnderTest;

    beforeAll(async () => {
      current = await makeLog();
      await current.database.write(async (transaction) => {
        await sql(transaction)`
          CREATE TABLE IF NOT EXISTS contract_effects (consumer varchar(100), event_id varchar(36), seen integer)`;
      });
    });

    afterAll(async () => {
      await current.close();
    });

    const partitionOf = (sessionId: string): number => current.log.partitionOf(sessionId);

    async function recordsOf(sessionId: string, from = 0): Promise<LogRecord[]> {
      const records: LogRecord[] = [];
      for await (const batch of current.log.read(partitionOf(sessionId), from)) {
        records.push(...batch.filter(({ event }) => event?.session_id === sessionId));
      }
      return records;
    }

    async function idsOf(sessionId: string): Promise<(string | undefined)[]> {
      return (await recordsOf(sessionId)).map(({ event }) => event?.id);
    }

    async function append(
      ...events: [LogEvent, ...LogEvent[]]
    ): Promise<{ partition: number; offset: number }> {
      const outcome = await current.log.append(events);
      if (outcome.type !== 'appended') throw new Error(`not appended: ${outcome.detail}`);
      return outcome.position;
    }

    /**
     * A consumer that notes each event of `sessionId` in a table, in one transaction with its
     * position.
     */
    function noting(sessionId: string, consumer: string, options: NotingOptions = {}): LogReader {
      let seen = 0;
      return transactionalReader({
        consumer,
        batchSize: options.batchSize ?? 100,
        database: current.database,
        positions: new ConsumerPositions(current.database),
        effects: async (batch, transaction) => {
          for (const event of eventsOf(batch, sessionId)) {
            await sql(
              transaction,
            )`INSERT INTO contract_effects VALUES (${consumer}, ${event.id}, ${(seen += 1)})`;
          }
          await options.effects?.(batch, transaction);
        },
        onProblem: options.onProblem ?? (() => undefined),
      });
    }

    async function noted(consumer: string): Promise<string[]> {
      const { rows } = await current.database.read(
        (reader) => sql(reader)<{ event_id: string }>`
          SELECT event_id FROM contract_effects WHERE consumer = ${consumer} ORDER BY seen`,
      );
      return rows.map(({ event_id }) => event_id);
    }

    async function whileReading<T>(
      reader: LogReader,
      work: (subscription: LogSubscription) => Promise<T>,
    ): Promise<T> {
      const subscription = await current.log.subscribe(reader);
      try {
        return await work(subscription);
      } finally {
        await subscription.close();
      }
    }

    async function waitUntilNoted(consumer: string, events: readonly LogEvent[]): Promise<void> {
      await vi.waitFor(async () => expect(await noted(consumer)).toEqual(ids(events)), WAIT);
    }

    /**
     * A consumer that begins at the present end of a session's partition, and at the beginning of
     * the others.
     */
    async function consumerFromNow(sessionId: string): Promise<string> {
      const consumer = randomUUID();
      const partition = partitionOf(sessionId);
      const next = await current.log.end(partition);
      if (next > 0) {
        const batch = { consumer, partition, from: 0, next, records: [], live: true };
        await current.database.write((transaction) =>
          new ConsumerPositions(current.database).advance(transaction, batch),
        );
      }
      return consumer;
    }

    it('can be reached, and says what it is', async () => {
      await current.log.check();
      expect(current.log.description).not.toBe('');
      expect(partitionOf(randomUUID())).toBeLessThan(current.log.partitions);
    });

    it('keeps the appends of a session in the order in which they were made, however many are made at once', async () => {
      const sessions = Array.from({ length: 5 }, () => randomUUID());
      const events = Array.from({ length: 200 }, (_, n) => fact(sessions[n % 5] ?? '', n));
      const positions = await Promise.all(events.map((event) => append(event)));

      for (const session of sessions) {
        const mine = events.filter((event) => event.session_id === session);
        const offsets = positions
          .filter((_, n) => events[n]?.session_id === session)
          .map(({ offset }) => offset);
        expect(await idsOf(session)).toEqual(ids(mine));
        expect((await recordsOf(session)).map(({ position }) => position.offset)).toEqual(offsets);
        expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
        expect(new Set(offsets).size).toBe(offsets.length);
      }
    });

    it('writes the events of one append one after another, all of them, among the appends of others', async () => {
      const appends = Array.from({ length: 40 }, (_, n) => {
        const session = randomUUID();
        return [fact(session, 1), fact(session, 2), fact(session, n + 3)] as const;
      });
      const positions = await Promise.all(appends.map((events) => append(...events)));

      for (const [n, events] of appends.entries()) {
        const records = await recordsOf(events[0].session_id);
        const last = positions[n]?.offset ?? 0;
        expect(records.map(({ event }) => event)).toEqual(events);
        expect(records.map(({ position }) => position.offset)).toEqual([last - 2, last - 1, last]);
      }
    });

    it('shows an acknowledged append to end and read at once', async () => {
      const event = fact(randomUUID(), 1);
      const position = await append(event);
      expect(position.partition).toBe(partitionOf(event.session_id));
      expect(await current.log.end(position.partition)).toBeGreaterThan(position.offset);
      expect(await recordsOf(event.session_id, position.offset)).toEqual([{ position, event }]);
    });

    // [SBP-L2-01]
    it('keeps what was acknowledged when it is closed and opened again, and goes on behind it', async () => {
      const session = randomUUID();
      const first = fact(session, 1);
      const before = await append(first);
      current = await current.reopen();
      const second = fact(session, 2);
      const after = await append(second);
      expect(after.offset).toBeGreaterThan(before.offset);
      expect(await idsOf(session)).toEqual([first.id, second.id]);
    });

    it('takes an append that was not waited for before a close', async () => {
      const event = fact(randomUUID(), 1);
      const appended = append(event);
      current = await current.reopen();
      await appended;
      expect(await idsOf(event.session_id)).toEqual([event.id]);
    });

    it('reads from the position asked for to the end as it was when the call began', async () => {
      const session = randomUUID();
      const early = await append(fact(session, 1));
      const later = fact(session, 2);
      await append(later);
      const reading = current.log.read(early.partition, early.offset + 1);
      await append(fact(session, 3));

      const seen: LogRecord[] = [];
      for await (const batch of reading) seen.push(...batch);
      expect(eventsOf({ records: seen }, session).map(({ id }) => id)).toEqual([later.id]);
      for await (const batch of current.log.read(
        early.partition,
        await current.log.end(early.partition),
      )) {
        expect(batch).toEqual([]);
      }
    });

    it('delivers to a reader all that was there before it, then all that comes, in order, once', async () => {
      const session = randomUUID();
      const old = Array.from({ length: 30 }, (_, n) => fact(session, n));
      await Promise.all(old.map((event) => append(event)));
      const consumer = randomUUID();
      await whileReading(noting(session, consumer, { batchSize: 7 }), async () => {
        await waitUntilNoted(consumer, old);
        const fresh = Array.from({ length: 30 }, (_, n) => fact(session, n));
        await Promise.all(fresh.map((event) => append(event)));
        await waitUntilNoted(consumer, [...old, ...fresh]);
      });
    });

    it('gives batches that follow one another, bounded, and says which reaches the end', async () => {
      const session = randomUUID();
      const consumer = await consumerFromNow(session);
      const events = Array.from({ length: 9 }, (_, n) => fact(session, n));
      await append(...(events as [LogEvent]));
      const end = await current.log.end(partitionOf(session));
      const batches: LogBatch[] = [];
      const reader = noting(session, consumer, {
        batchSize: 4,
        effects: (batch) => {
          if (batch.partition === partitionOf(session)) batches.push(batch);
          return Promise.resolve();
        },
      });
      await whileReading(reader, () => waitUntilNoted(consumer, events));

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
      const consumer = await consumerFromNow(session);
      const events = [fact(session, 1), fact(session, 2)] as const;
      await append(events[0]);
      await whileReading(noting(session, consumer), () => waitUntilNoted(consumer, [events[0]]));
      await append(events[1]);
      await whileReading(noting(session, consumer), () => waitUntilNoted(consumer, events));
    });

    it('delivers again after a throw; what the handler wrote before it, and the position, are undone', async () => {
      const session = randomUUID();
      const consumer = await consumerFromNow(session);
      const partition = partitionOf(session);
      const positions = new ConsumerPositions(current.database);
      const begin = await positions.load(consumer, partition);
      const events = [fact(session, 1), fact(session, 2), fact(session, 3)] as const;
      await append(...events);
      const problems: unknown[] = [];
      const stored: number[] = [];
      const left: string[] = [];
      const attempts: number[] = [];
      let failures = 0;
      const reader = noting(session, consumer, {
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
            left.push(...(await noted(consumer)));
          }
          return position;
        },
      };
      await whileReading(observed, () => waitUntilNoted(consumer, events));
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
      const consumer = await consumerFromNow(session);
      const events = [fact(session, 1), fact(session, 2)] as const;
      await append(events[0]);
      await whileReading(noting(session, consumer), () => waitUntilNoted(consumer, [events[0]]));
      await append(events[1]);

      const reader = noting(session, consumer);
      const outcomes: string[] = [];
      const asked: number[] = [];
      const late: LogReader = {
        ...reader,
        position: (partition) => {
          if (partition !== partitionOf(session)) return reader.position(partition);
          asked.push(partition);
          return asked.length === 1 ? Promise.resolve(0) : reader.position(partition);
        },
        handle: async (batch) => {
          const outcome = await reader.handle(batch);
          if (batch.partition === partitionOf(session)) outcomes.push(outcome);
          return outcome;
        },
      };
      await whileReading(late, () => waitUntilNoted(consumer, events));
      expect(outcomes[0]).toBe('stale');
      expect(asked.length).toBeGreaterThan(1);
    });

    it('has each effect once though two readers of one name read at once', async () => {
      const session = randomUUID();
      const consumer = await consumerFromNow(session);
      const events = Array.from({ length: 60 }, (_, n) => fact(session, n));
      const one = await current.log.subscribe(noting(session, consumer, { batchSize: 3 }));
      const other = await current.log.subscribe(noting(session, consumer, { batchSize: 5 }));
      try {
        for (const event of events) await append(event);
        await vi.waitFor(
          async () => expect((await noted(consumer)).sort()).toEqual(ids(events).sort()),
          WAIT,
        );
      } finally {
        await Promise.all([one.close(), other.close()]);
      }
      const position = await new ConsumerPositions(current.database).load(
        consumer,
        partitionOf(session),
      );
      expect(position).toBe(await current.log.end(partitionOf(session)));
    });

    it('lets the second of two readers take over when the first closes', async () => {
      const session = randomUUID();
      const consumer = await consumerFromNow(session);
      const events = [fact(session, 1), fact(session, 2)] as const;
      const first = await current.log.subscribe(noting(session, consumer));
      await append(events[0]);
      await waitUntilNoted(consumer, [events[0]]);
      await whileReading(noting(session, consumer), async () => {
        await first.close();
        await append(events[1]);
        await vi.waitFor(
          async () => expect((await noted(consumer)).sort()).toEqual(ids(events).sort()),
          WAIT,
        );
      });
    });

    it('gives a reader no further batch of a partition while one is in its hands', async () => {
      const session = randomUUID();
      const consumer = await consumerFromNow(session);
      const gate = Promise.withResolvers<undefined>();
      const inHand = new Map<number, number>();
      let most = 0;
      const reader = noting(session, consumer, { batchSize: 1 });
      const slow: LogReader = {
        ...reader,
        handle: async (batch) => {
          const now = (inHand.get(batch.partition) ?? 0) + 1;
          inHand.set(batch.partition, now);
          most = Math.max(most, now);
          if (batch.partition === partitionOf(session)) await gate.promise;
          const outcome = await reader.handle(batch);
          inHand.set(batch.partition, (inHand.get(batch.partition) ?? 1) - 1);
          return outcome;
        },
      };
      await whileReading(slow, async () => {
        const events = [fact(session, 0)];
        await append(...(events as [LogEvent]));
        await vi.waitFor(() => expect(inHand.get(partitionOf(session))).toBe(1), WAIT);
        for (let n = 1; n <= 20; n += 1) {
          const event = fact(session, n);
          events.push(event);
          await append(event);
        }
        gate.resolve(undefined);
        await waitUntilNoted(consumer, events);
      });
      expect(most).toBe(1);
    });

    it('waits, when a subscription closes, for the batch in hand', async () => {
      const session = randomUUID();
      const consumer = await consumerFromNow(session);
      const event = fact(session, 1);
      const gate = Promise.withResolvers<undefined>();
      const taken = Promise.withResolvers<undefined>();
      const reader = noting(session, consumer);
      const subscription = await current.log.subscribe({
        ...reader,
        handle: async (batch) => {
          if (batch.partition === partitionOf(session)) {
            taken.resolve(undefined);
            await gate.promise;
          }
          return reader.handle(batch);
        },
      });
      await append(event);
      await taken.promise;
      const closed = subscription.close();
      gate.resolve(undefined);
      await closed;
      expect(await noted(consumer)).toEqual([event.id]);
      const position = await new ConsumerPositions(current.database).load(
        consumer,
        partitionOf(session),
      );
      expect(position).toBe(await current.log.end(partitionOf(session)));
    });

    it('passes over an event of a type that this version does not know, and reports one that is malformed', async () => {
      const session = randomUUID();
      const consumer = await consumerFromNow(session);
      const known = fact(session, 1);
      const unknown = { ...fact(session, 2), type: 'session.of_the_future' } as unknown as LogEvent;
      const malformed = { ...fact(session, 3), data: { seq: 'three' } } as unknown as LogEvent;
      const last = fact(session, 4);
      const { partition, offset } = await append(known, unknown, malformed, last);

      const read: LogRecord[] = [];
      for await (const batch of current.log.read(partition, offset - 3)) read.push(...batch);
      expect(read.slice(0, 4).map(({ event }) => event)).toEqual([known, null, null, last]);

      const problems: string[] = [];
      const reader = noting(session, consumer, { onProblem: (problem) => problems.push(problem) });
      await whileReading(reader, () => waitUntilNoted(consumer, [known, last]));
      const mine = problems.filter((problem) => problem.includes(String(offset - 1)));
      expect(mine).toHaveLength(1);
    });

    it('refuses alone what is too large for it; what waited with it is written', async () => {
      const session = randomUUID();
      const small = Array.from({ length: 20 }, (_, n) => fact(session, n));
      const outcomes = await Promise.all([
        ...small.slice(0, 10).map((event) => current.log.append([event])),
        current.log.append([large(session, LIMITS.logRecord + 1)]),
        current.log.append([fact(randomUUID(), 1), large(randomUUID(), LIMITS.logRecord + 1)]),
        ...small.slice(10).map((event) => current.log.append([event])),
      ]);
      expect(outcomes[10]).toMatchObject({ type: 'rejected', reason: 'too_large' });
      expect(outcomes[11]).toMatchObject({ type: 'rejected', reason: 'too_large' });
      expect(outcomes.filter(({ type }) => type === 'appended')).toHaveLength(20);
      expect(await idsOf(session)).toEqual(ids(small));
    });

    it('takes the largest event that a request body can make', async () => {
      const event = large(randomUUID(), LIMITS.requestBody);
      const small = fact(event.session_id, 1);
      await Promise.all([append(event), append(small)]);
      expect(await idsOf(event.session_id)).toEqual([event.id, small.id]);
    });
  });
}

interface NotingOptions {
  readonly batchSize?: number;
  readonly effects?: (batch: LogBatch, transaction: EntityManager) => Promise<void>;
  readonly onProblem?: (problem: string, error?: unknown) => void;
}

function fact(sessionId: string, seq: number): LogEvent {
  return {
    id: randomUUID(),
    type: 'surface.acknowledged',
    schema: 1,
    session_id: sessionId,
    occurred_at: '2026-05-10T15:05:00.000Z',
    by: { principal: null, via: 'system' },
    data: { attach_id: randomUUID(), seq: seq + 1 },
  };
}

function large(sessionId: string, bytes: number): LogEvent {
  return {
    id: randomUUID(),
    type: 'session.opened',
    schema: 1,
    session_id: sessionId,
    epoch: 1,
    occurred_at: '2026-05-10T15:05:00.000Z',
    by: { principal: null, via: 'system' },
    data: { principal: 'p'.repeat(bytes), agent_id: 'a' },
  };
}

function eventsOf(batch: Pick<LogBatch, 'records'>, sessionId: string): LogEvent[] {
  return batch.records.flatMap(({ event }) => (event?.session_id === sessionId ? [event] : []));
}

function ids(events: readonly LogEvent[]): string[] {
  return events.map(({ id }) => id);
}
