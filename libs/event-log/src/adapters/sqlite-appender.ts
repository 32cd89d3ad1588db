import { setTimeout as delay } from 'node:timers/promises';
import type { EntityManager } from 'typeorm';
import type { Database } from '#libs/sql';
import { sql } from '#libs/sql';
import { LogOverloaded, MAX_PENDING_BYTES } from '../ports/event-log.js';

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

/** Between attempts to write what the disk refused, in ms: the first, and the longest. */
const RETRY = { first: 100, longest: 1_000 };
/** Bytes of one transaction. */
const GROUP_BYTES = 16 * 1024 * 1024;
/** How long `close` waits for a disk that refuses to write, in ms. */
const CLOSE_WAIT = 5_000;

/**
 * Writes appends in the order in which they came, all that wait in one transaction. A write that
 * fails is tried again before anything newer: so a later append of a session never overtakes an
 * earlier one, whatever happens to the disk.
 */
export class SqliteAppender {
  private readonly pending: Pending[] = [];
  private pendingBytes = 0;
  private running: Promise<void> | undefined;
  private readonly closing = new AbortController();
  /** Why the last write failed; null where it did not. */
  private lastFailure: string | null = null;

  /** @param onAppended called after each commit */
  constructor(
    private readonly database: Database,
    private readonly onAppended: () => void,
  ) {}

  get failure(): string | null {
    return this.lastFailure;
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
    const waited = new AbortController();
    await Promise.race([
      this.running,
      delay(waitMs, undefined, { signal: waited.signal }).catch(() => {
        // Not needed: all was written in time.
      }),
    ]);
    waited.abort();
    this.closing.abort();
    await this.running;
  }

  private async drain(): Promise<void> {
    // All that is appended in this turn goes into one transaction.
    await Promise.resolve();
    while (this.pending.length > 0) {
      const group = this.nextGroup();
      try {
        const offsets = await this.write(group);
        this.onAppended();
        for (const [index, { resolve }] of group.entries()) resolve(offsets[index] ?? 0);
      } catch (error) {
        for (const { reject } of [...group, ...this.pending.splice(0)]) reject(error);
      }
      this.pendingBytes = this.pending.reduce((sum, { bytes }) => sum + bytes, 0);
    }
    this.running = undefined;
  }

  private nextGroup(): Pending[] {
    let bytes = 0;
    const end = this.pending.findIndex((append) => (bytes += append.bytes) > GROUP_BYTES);
    return this.pending.splice(0, end === -1 ? this.pending.length : Math.max(end, 1));
  }

  /**
   * Throws only when the log is being closed: a rejected write left nothing behind, so it can be
   * made again.
   */
  private async write(group: readonly Pending[]): Promise<number[]> {
    for (let wait = RETRY.first; ; wait = Math.min(wait * 2, RETRY.longest)) {
      try {
        const written = await this.database.write(
          async (transaction) => {
            const offsets: number[] = [];
            for (const { rows } of group) offsets.push(await insert(transaction, rows));
            return offsets;
          },
          { durable: true },
        );
        this.lastFailure = null;
        return written;
      } catch (error) {
        this.lastFailure = error instanceof Error ? error.message : String(error);
        if (this.closing.signal.aborted) throw error;
        await delay(wait, undefined, { signal: this.closing.signal }).catch(() => {
          // Closing: one more attempt, at once.
        });
      }
    }
  }
}

async function insert(transaction: EntityManager, rows: readonly RowToAppend[]): Promise<number> {
  let last = 0;
  for (const { sessionId, eventId, body } of rows) {
    const { rows: inserted } = await sql(transaction)<{ offset: number }>`
      INSERT INTO log_records (session_id, event_id, body) VALUES (${sessionId}, ${eventId}, ${body}) RETURNING "offset"`;
    last = inserted[0]?.offset ?? last;
  }
  return last;
}
