import type { EntityManager } from 'typeorm';
import type { Database } from '#libs/sql';
import { sql, tuples } from '#libs/sql';
import { backOff, within } from '#libs/timing';
import { LogOverloaded, MAX_PENDING_BYTES } from '../ports/event-log.js';
import type { StoredRecord } from './sqlite-log-tail.js';

export interface RowToAppend {
  readonly sessionId: string;
  readonly eventId: string;
  readonly body: string;
}

interface Pending {
  readonly rows: readonly RowToAppend[];
  readonly bytes: number;
  readonly resolve: (offset: number) => void;
  readonly reject: (error: unknown) => void;
}

/** Bytes and rows of one transaction; an append that has more is one alone. */
const GROUP = { bytes: 16 * 1024 * 1024, rows: 1_000 };
/** How long `close` waits for a disk that refuses to write, in ms. */
const CLOSE_WAIT = 5_000;

/**
 * Writes appends in the order in which they came, all that wait by one statement. A write that
 * fails is tried again before anything newer: so a later append of a session never overtakes an
 * earlier one, whatever happens to the disk.
 */
export class SqliteAppender {
  private readonly pending: Pending[] = [];
  private pendingBytes = 0;
  private running: Promise<void> | undefined;
  private readonly closing = new AbortController();
  private fault: Error | null = null;

  /** @param onAppended called after each commit, with what it made durable */
  constructor(
    private readonly database: Database,
    private readonly onAppended: (records: readonly StoredRecord[]) => void,
  ) {}

  /** Why the last write failed; null once one has succeeded. */
  get failure(): Error | null {
    return this.fault;
  }

  /** The last row's offset, when all are durable. */
  append(rows: readonly RowToAppend[], bytes: number): Promise<number> {
    if (this.closing.signal.aborted) return Promise.reject(new Error('The log is closed.'));
    if (this.pendingBytes + bytes > MAX_PENDING_BYTES) return Promise.reject(new LogOverloaded());
    return new Promise((resolve, reject) => {
      this.pending.push({ rows, bytes, resolve, reject });
      this.pendingBytes += bytes;
      this.running ??= this.drain();
    });
  }

  /** Waits a while for what is pending, then rejects it. */
  async close({ waitMs = CLOSE_WAIT } = {}): Promise<void> {
    await within(Promise.resolve(this.running), waitMs);
    this.closing.abort();
    await this.running;
  }

  private async drain(): Promise<void> {
    // All that is appended in this turn goes into one transaction.
    await Promise.resolve();
    while (this.pending.length > 0) {
      const group = this.nextGroup();
      const rows = group.flatMap((append) => append.rows);
      try {
        const first = await this.write(rows);
        this.onAppended(
          rows.map(({ sessionId: key, body }, index) => ({ offset: first + index, key, body })),
        );
        let next = first;
        for (const append of group) {
          next += append.rows.length;
          append.resolve(next - 1);
        }
      } catch (error) {
        for (const { reject } of [...group, ...this.pending.splice(0)]) reject(error);
      }
      this.pendingBytes = this.pending.reduce((sum, { bytes }) => sum + bytes, 0);
    }
    this.running = undefined;
  }

  private nextGroup(): Pending[] {
    let bytes = 0;
    let rows = 0;
    const end = this.pending.findIndex((append) => {
      bytes += append.bytes;
      rows += append.rows.length;
      return bytes > GROUP.bytes || rows > GROUP.rows;
    });
    return this.pending.splice(0, end === -1 ? this.pending.length : Math.max(end, 1));
  }

  /**
   * Gives the first row's offset. Throws only when the log is being closed: a rejected write left
   * nothing behind, so it can be made again.
   */
  private async write(rows: readonly RowToAppend[]): Promise<number> {
    for (let failures = 1; ; failures += 1) {
      try {
        const last = await this.insertAll(rows);
        this.fault = null;
        return last - rows.length + 1;
      } catch (error) {
        this.fault = error as Error;
        if (this.closing.signal.aborted) throw error;
        // Ends early when the log is being closed: one more try, at once.
        await backOff(failures, this.closing.signal);
      }
    }
  }

  private insertAll(rows: readonly RowToAppend[]): Promise<number> {
    const durable = { durable: true };
    if (rows.length <= GROUP.rows) {
      return this.database.writeOne((writer) => insert(writer, rows), durable);
    }
    // SQLite bounds the parameters of a statement.
    return this.database.write(async (transaction) => {
      let last = 0;
      for (let from = 0; from < rows.length; from += GROUP.rows) {
        last = await insert(transaction, rows.slice(from, from + GROUP.rows));
      }
      return last;
    }, durable);
  }
}

/**
 * Gives the last row's offset. AUTOINCREMENT numbers the rows of a statement one after another, as
 * they stand in VALUES; the order in which RETURNING gives them is not promised.
 */
async function insert(writer: EntityManager, rows: readonly RowToAppend[]): Promise<number> {
  const values = rows.map(({ sessionId, eventId, body }) => [sessionId, eventId, body]);
  const inserted = await sql(writer)<{ offset: number }>`
    INSERT INTO log_records (session_id, event_id, body) VALUES ${tuples(values)} RETURNING "offset"`;
  return Math.max(...inserted.rows.map(({ offset }) => offset));
}
