export interface StoredRecord {
  readonly offset: number;
  /** The session's id. */
  readonly key: string;
  /** The event as JSON. */
  readonly body: string;
}

/** Which records are asked for: not more than `limit`, and ended by the one that passes `bytes`. */
export interface Range {
  readonly from: number;
  readonly end: number;
  readonly limit: number;
  readonly bytes: number;
}

/** Of the records that are kept; a character counts as a byte, here and in `slice`. */
const MAX_BYTES = 4 * 1024 * 1024;

/**
 * The records appended last, in memory, so that readers who stand at the log's end need no SQL. The
 * log has one writer, because the data directory is locked to one process: so what it has appended
 * is all that is new.
 */
export class SqliteLogTail {
  private records: StoredRecord[] = [];
  private bytes = 0;
  private known: number | null = null;

  /** The offset after the last record; null until the log was read or appended to. */
  get end(): number | null {
    return this.known;
  }

  /** Notes an end that was read from the table: appends may have moved it on since. */
  noteEnd(end: number): number {
    this.known = Math.max(this.known ?? 0, end);
    return this.known;
  }

  /** Takes what was committed, in the order of its offsets. */
  add(records: readonly StoredRecord[]): void {
    for (const record of records) {
      this.records.push(record);
      this.bytes += record.body.length;
      this.noteEnd(record.offset + 1);
    }
    let dropped = 0;
    while (this.bytes > MAX_BYTES) this.bytes -= this.records[dropped++]?.body.length ?? 0;
    this.records.splice(0, dropped);
  }

  /** Undefined if the range begins before what is kept. */
  slice({ from, end, limit, bytes }: Range): readonly StoredRecord[] | undefined {
    const first = this.records[0];
    if (first === undefined || from < first.offset) return undefined;
    const taken: StoredRecord[] = [];
    let size = 0;
    for (let index = this.indexOf(from); taken.length < limit && size < bytes; index += 1) {
      const record = this.records[index];
      if (record === undefined || record.offset >= end) break;
      taken.push(record);
      size += record.body.length;
    }
    return taken;
  }

  /** The index of the first record at or behind an offset, looked for from the end. */
  private indexOf(offset: number): number {
    return this.records.findLastIndex((record) => record.offset < offset) + 1;
  }
}
