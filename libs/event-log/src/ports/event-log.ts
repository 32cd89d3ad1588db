import type { LogEvent, ReadRecord } from '#libs/protocol';

/**
 * Where a record stands: offsets rise within a partition and never repeat; they say nothing across
 * partitions.
 */
export interface LogPosition {
  readonly partition: number;
  readonly offset: number;
}

/** What one append carries: events of one session, in the order in which they happened. */
export type Append = readonly [LogEvent, ...LogEvent[]];

export type AppendOutcome =
  /** Durable, in order, all or nothing; `position` is the last event's. */
  | { readonly type: 'appended'; readonly position: LogPosition }
  /** The log will never take it; nothing of it was written, nobody else's append suffers. */
  | {
      readonly type: 'rejected';
      readonly reason: 'too_large' | 'not_authorised';
      readonly detail: string;
    };

/** The exact bytes of a record as they stand in the log. */
export interface RawRecord {
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
}

/**
 * A record as it stands in the log, with the event that it is; where this version cannot read it,
 * `unread` says why, and the reader decides what to do [A12].
 */
export type LogRecord = ReadRecord & {
  readonly position: LogPosition;
  /** Of every record, also of one that cannot be read. */
  readonly raw: RawRecord;
};

/** Consecutive records of one partition. */
export interface LogBatch {
  readonly consumer: string;
  readonly partition: number;
  /** The reader's stored position that this batch begins at. */
  readonly from: number;
  /** The position to store with the batch's effects. */
  readonly next: number;
  readonly records: readonly LogRecord[];
  /**
   * Whether the batch ends at the partition's end as known when it was read: false while a reader
   * replays.
   */
  readonly live: boolean;
}

export interface LogReader {
  /** Readers with one name share the partitions among them; each name sees every record. */
  readonly consumer: string;
  /** The most records in a batch. */
  readonly batchSize: number;
  /**
   * How long a reader at the log's end lets records gather before it reads on, in ms; absent: not
   * at all. A hint, for readers that nobody waits for: a log that is read by other processes than
   * those that append may leave it out.
   */
  readonly lingerMs?: number;
  /**
   * The stored position of a partition: asked when the partition is assigned, and after a `stale`
   * or a throw.
   */
  position(partition: number): Promise<number>;
  /**
   * Makes the batch's effects and its `next` durable, in one transaction, before it resolves.
   * `stale`: the stored position is not `from` any more (another reader has the partition). A throw
   * is tried again, from the stored position, with backoff; records are never passed over. The next
   * batch of a partition is fetched when this one has resolved (back-pressure).
   */
  handle(batch: LogBatch): Promise<'done' | 'stale'>;
  /** Told of every throw and every missing record, for the operator. */
  onProblem(problem: string, error?: unknown): void;
}

export interface LogSubscription {
  /** Stops fetching, and resolves when the batch in hand is done. */
  close(): Promise<void>;
}

/**
 * The turn log: append-only events, kept in order per session (sessions hash to partitions). Source
 * of truth [A2][A3].
 *
 * Appends of one session by one process are first in, first out: a later one is written after the
 * earlier one is acknowledged. The events of one append are atomic. `append` resolves when they are
 * durable, and never gives up on one whose outcome is unknown: it stays pending while the log
 * cannot be reached (callers set their own deadline and keep the promise). An event may be written
 * twice; readers drop repeats by the rules of their fold. Bound: at most `MAX_PENDING_BYTES` wait,
 * beyond which `append` rejects with `LogOverloaded` before anything is sent. Delivery to readers
 * is at least once and in order per partition.
 */
export abstract class EventLog {
  /** Number of partitions, fixed for the log's life. */
  abstract readonly partitions: number;
  /** The backend's name for health and banner. */
  abstract readonly description: string;
  abstract partitionOf(sessionId: string): number;
  abstract append(events: Append): Promise<AppendOutcome>;
  /**
   * Why the log is believed to take no appends of this session now, in words for an operator; null
   * while it is believed to work. Set when the oldest append that waits where this session is
   * written has found no success for more than 3 s; null again from the next success on. Asks
   * nobody: it says what the appends of this process have met, so a log that nobody appends to is
   * believed to work.
   */
  abstract outageOf(sessionId: string): string | null;
  /** The same of any session: not null as soon as one partition is down. */
  abstract readonly outage: string | null;
  /**
   * The offset after the last record that is durable now. Rejects with `LogUnavailable`, or as the
   * storage does, where nobody can say it now.
   */
  abstract end(partition: number): Promise<number>;
  abstract subscribe(reader: LogReader): Promise<LogSubscription>;
  /**
   * All records from `from` to the end as it is when the call begins, in batches. Fails as `end`
   * does.
   */
  abstract read(partition: number, from: number): AsyncIterable<readonly LogRecord[]>;
  /** Rejects, as `end` does, when the log cannot be reached now. */
  abstract check(): Promise<void>;
  /** Waits for pending appends for a short while, then closes. */
  abstract close(): Promise<void>;
}

/** Too much waits to be appended; nothing of this append was sent. */
export class LogOverloaded extends Error {
  override readonly name = 'LogOverloaded';
}

/** The log cannot be reached now: the same may pass soon. */
export class LogUnavailable extends Error {
  override readonly name = 'LogUnavailable';
}

/** Bytes that may wait to be appended in one process. */
export const MAX_PENDING_BYTES = 256 * 1024 * 1024;
