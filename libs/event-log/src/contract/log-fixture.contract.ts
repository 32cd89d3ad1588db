import { randomUUID } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import { expect, vi } from 'vitest';
import type { LogEvent } from '#libs/protocol';
import type { Database } from '#libs/sql';
import { Limit } from '#libs/timing';
import { sql } from '#libs/sql';
import { ConsumerPositions } from '../consumer-positions.js';
import type {
  EventLog,
  LogBatch,
  LogReader,
  LogRecord,
  LogSubscription,
} from '../ports/event-log.js';
import { transactionalReader } from '../transactional-reader.js';

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

export const WAIT = { timeout: 30_000, interval: 20 };

/** The log that is tested, and what the tests do with it again and again. */
export class LogFixture {
  current!: LogUnderTest;

  async open(makeLog: () => Promise<LogUnderTest>): Promise<void> {
    this.current = await makeLog();
    await this.current.database.write(async (transaction) => {
      await sql(transaction)`
        CREATE TABLE IF NOT EXISTS contract_effects (consumer varchar(100), event_id varchar(36), seen integer)`;
    });
  }

  async reopen(): Promise<void> {
    this.current = await this.current.reopen();
  }

  partitionOf(sessionId: string): number {
    return this.current.log.partitionOf(sessionId);
  }

  async recordsOf(sessionId: string, from = 0): Promise<LogRecord[]> {
    const records: LogRecord[] = [];
    for await (const batch of this.current.log.read(this.partitionOf(sessionId), from)) {
      records.push(...batch.filter(({ event }) => event?.session_id === sessionId));
    }
    return records;
  }

  async idsOf(sessionId: string): Promise<(string | undefined)[]> {
    return (await this.recordsOf(sessionId)).map(({ event }) => event?.id);
  }

  async append(
    ...events: [LogEvent, ...LogEvent[]]
  ): Promise<{ partition: number; offset: number }> {
    const outcome = await this.current.log.append(events);
    if (outcome.type !== 'appended') throw new Error(`not appended: ${outcome.detail}`);
    return outcome.position;
  }

  /**
   * A consumer that notes each event of `sessionId` in a table, in one transaction with its
   * position.
   */
  noting(sessionId: string, consumer: string, options: NotingOptions = {}): LogReader {
    let seen = 0;
    return transactionalReader({
      transactions: new Limit(4),
      consumer,
      batchSize: options.batchSize ?? 100,
      database: this.current.database,
      positions: new ConsumerPositions(this.current.database),
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

  async noted(consumer: string): Promise<string[]> {
    const { rows } = await this.current.database.read(
      (reader) => sql(reader)<{ event_id: string }>`
        SELECT event_id FROM contract_effects WHERE consumer = ${consumer} ORDER BY seen`,
    );
    return rows.map(({ event_id }) => event_id);
  }

  async whileReading<T>(
    reader: LogReader,
    work: (subscription: LogSubscription) => Promise<T>,
  ): Promise<T> {
    const subscription = await this.current.log.subscribe(reader);
    try {
      return await work(subscription);
    } finally {
      await subscription.close();
    }
  }

  async waitUntilNoted(consumer: string, events: readonly LogEvent[]): Promise<void> {
    await vi.waitFor(async () => expect(await this.noted(consumer)).toEqual(ids(events)), WAIT);
  }

  /**
   * A consumer that begins at the present end of a session's partition, and at the beginning of
   * the others.
   */
  async consumerFromNow(sessionId: string): Promise<string> {
    const consumer = randomUUID();
    const partition = this.partitionOf(sessionId);
    const next = await this.current.log.end(partition);
    if (next > 0) {
      const batch = { consumer, partition, from: 0, next, records: [], live: true };
      await this.current.database.write((transaction) =>
        new ConsumerPositions(this.current.database).advance(transaction, batch),
      );
    }
    return consumer;
  }
}

interface NotingOptions {
  readonly batchSize?: number;
  readonly effects?: (batch: LogBatch, transaction: EntityManager) => Promise<void>;
  readonly onProblem?: (problem: string, error?: unknown) => void;
}

export function eventOf(sessionId: string, seq: number): LogEvent {
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

export function largeEventOf(sessionId: string, bytes: number): LogEvent {
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

export function eventsOf(batch: Pick<LogBatch, 'records'>, sessionId: string): LogEvent[] {
  return batch.records.flatMap(({ event }) => (event?.session_id === sessionId ? [event] : []));
}

export function ids(events: readonly LogEvent[]): string[] {
  return events.map(({ id }) => id);
}
