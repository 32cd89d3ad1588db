import { LIMITS, eventCodec } from '#libs/protocol';
import type { Database } from '#libs/sql';
import { sql } from '#libs/sql';
import type {
  Append,
  AppendOutcome,
  LogBatch,
  LogReader,
  LogRecord,
  LogSubscription,
} from '../ports/event-log.js';
import { EventLog } from '../ports/event-log.js';
import { SqliteAppender } from './sqlite-appender.js';
import type { Range, StoredRecord } from './sqlite-log-tail.js';
import { SqliteLogTail } from './sqlite-log-tail.js';
import { SqliteSubscription } from './sqlite-subscription.js';
import { StoredBytes } from './stored-bytes.js';

const PARTITION = 0;
/** Records in a batch of `read`. */
const READ_BATCH = 500;
/**
 * A batch ends with the record that passes it: what is in memory stays bounded, however long the
 * records are.
 */
const BATCH_BYTES = 4 * 1024 * 1024;

/** The log in the tables of the embedded server's one SQLite file; one partition. */
export class SqliteEventLog extends EventLog {
  readonly partitions = 1;
  readonly description = 'SQLite';
  private readonly appender: SqliteAppender;
  private readonly tail = new SqliteLogTail();
  private readonly subscriptions = new Set<SqliteSubscription>();

  /**
   * @param database on SQLite, with the schema of `eventLogEntities`; it is the caller's to close,
   * after the log
   */
  constructor(private readonly database: Database) {
    super();
    this.appender = new SqliteAppender(database, (records) => {
      this.tail.add(records);
      // Whoever appended goes first: what it does next is on the way to its caller, a fold is not.
      setImmediate(() => {
        for (const subscription of this.subscriptions) subscription.wake();
      });
    });
  }

  partitionOf(_sessionId: string): number {
    return PARTITION;
  }

  async append(events: Append): Promise<AppendOutcome> {
    const rows = events.map((event) => ({
      sessionId: event.session_id,
      eventId: event.id,
      body: JSON.stringify(event),
    }));
    const bytes = rows.reduce((sum, { body }) => sum + Buffer.byteLength(body), 0);
    if (bytes > LIMITS.logRecord) {
      const detail = `The append has ${bytes} bytes; the log takes ${LIMITS.logRecord}.`;
      return { type: 'rejected', reason: 'too_large', detail };
    }
    const offset = await this.appender.append(rows, bytes);
    return { type: 'appended', position: { partition: PARTITION, offset } };
  }

  get outage(): string | null {
    return this.appender.failure?.message ?? null;
  }

  outageOf(_sessionId: string): string | null {
    return this.outage;
  }

  async end(_partition: number): Promise<number> {
    return this.tail.end ?? this.tail.noteEnd(await this.endInTable());
  }

  subscribe(reader: LogReader): Promise<LogSubscription> {
    const subscription = new SqliteSubscription(reader, (from) => this.batch(reader, from));
    this.subscriptions.add(subscription);
    return Promise.resolve({
      close: async () => {
        await subscription.close();
        this.subscriptions.delete(subscription);
      },
    });
  }

  read(partition: number, from: number): AsyncIterable<readonly LogRecord[]> {
    const end = this.end(partition);
    end.catch(() => {
      // It is for whoever iterates; nobody may.
    });
    return this.readUntil(end, from);
  }

  async check(): Promise<void> {
    if (this.appender.failure !== null) throw this.appender.failure;
    await this.endInTable();
  }

  async close(): Promise<void> {
    await Promise.all([...this.subscriptions].map((subscription) => subscription.close()));
    this.subscriptions.clear();
    await this.appender.close();
  }

  private async *readUntil(
    atCall: Promise<number>,
    from: number,
  ): AsyncGenerator<readonly LogRecord[]> {
    const end = await atCall;
    for (let next = from; next < end;) {
      const records = decode(await this.slice(next, end, READ_BATCH));
      const last = records.at(-1);
      if (last === undefined) return;
      yield records;
      next = last.position.offset + 1;
    }
  }

  /** The reader's next batch; undefined if there is nothing. */
  private async batch(reader: LogReader, from: number): Promise<LogBatch | undefined> {
    const { consumer, batchSize } = reader;
    const end = await this.end(PARTITION);
    if (from >= end) return undefined;
    const records = decode(await this.slice(from, end, batchSize));
    const last = records.at(-1);
    if (last === undefined) return undefined;
    const next = last.position.offset + 1;
    return { consumer, partition: PARTITION, from, next, records, live: next >= end };
  }

  private async slice(from: number, end: number, limit: number): Promise<readonly StoredRecord[]> {
    const range = { from, end, limit, bytes: BATCH_BYTES };
    return this.tail.slice(range) ?? (await this.sliceOfTable(range));
  }

  /**
   * The sizes are summed up first, of at most `limit` records, and only the bodies that fit are
   * read: SQLite tells a body's size without reading it.
   */
  private async sliceOfTable(range: Range): Promise<readonly StoredRecord[]> {
    const { from, end, limit, bytes } = range;
    const { rows } = await this.database.read(
      (reader) => sql(reader)<StoredRecord>`
        WITH sizes AS MATERIALIZED (
          SELECT "offset", octet_length(body) AS bytes FROM log_records
          WHERE "offset" >= ${from} AND "offset" < ${end} ORDER BY "offset" LIMIT ${limit}
        ), placed AS MATERIALIZED (
          SELECT "offset", SUM(bytes) OVER (ORDER BY "offset") - bytes AS before FROM sizes
        )
        SELECT log_records."offset", session_id AS "key", body FROM placed
        JOIN log_records ON log_records."offset" = placed."offset"
        WHERE before < ${bytes} ORDER BY log_records."offset"`,
    );
    return rows;
  }

  private async endInTable(): Promise<number> {
    const { rows } = await this.database.read(
      (reader) =>
        sql(reader)<{
          end: number;
        }>`SELECT COALESCE(MAX("offset") + 1, 0) AS "end" FROM log_records`,
    );
    return rows[0]?.end ?? 0;
  }
}

function decode(stored: readonly StoredRecord[]): readonly LogRecord[] {
  return stored.map(({ offset, key, body }) => ({
    position: { partition: PARTITION, offset },
    ...eventCodec.read(key, body),
    raw: new StoredBytes(key, body),
  }));
}
