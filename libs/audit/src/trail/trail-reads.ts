import type { EntityManager } from 'typeorm';
import type { LogPosition } from '#libs/event-log';
import type { Database, SqlPart } from '#libs/sql';
import { part, sql } from '#libs/sql';
import type { AuditCheckpointRow, AuditHeadRow, AuditRecordRow } from '../tables.js';

/** Rows that are read at once by who reads them all. */
const PAGE = 500;

/** The columns by the names of the row's fields, the same on both dialects. */
const RECORD = part`"partition", "offset", event_id AS "eventId", type, session_id AS "sessionId",
  turn_id AS "turnId", occurred_at AS "occurredAt", principal, via, address,
  request_id AS "requestId", record_hash AS "recordHash", chain, seal`;

/** Where a partition's trail ends; null where it has not begun. */
export async function headOf(
  manager: EntityManager,
  partition: number,
): Promise<AuditHeadRow | null> {
  const { rows } = await sql(manager)<AuditHeadRow>`
    SELECT "partition", next_offset AS "nextOffset", chain, records, checkpoints, signature
    FROM audit_heads WHERE "partition" = ${partition}`;
  return rows[0] ?? null;
}

export async function lastCheckpointAt(
  manager: EntityManager,
  partition: number,
  number: number,
): Promise<Pick<AuditCheckpointRow, 'records' | 'at'> | null> {
  if (number === 0) return null;
  const { rows } = await sql(manager)<Pick<AuditCheckpointRow, 'records' | 'at'>>`
    SELECT records, at FROM audit_checkpoints
    WHERE "partition" = ${partition} AND number = ${number}`;
  return rows[0] ?? null;
}

/** Which records are asked for; a null asks for all. */
export interface TrailFilter {
  readonly sessionId: string | null;
  readonly principal: string | null;
  readonly partition: number | null;
}

/** Reads the trail, by partition and offset; memory is flat however long it is. */
export class TrailReads {
  constructor(private readonly database: Database) {}

  head(partition: number): Promise<AuditHeadRow | null> {
    return this.database.read((reader) => headOf(reader, partition));
  }

  /** At most `limit` records behind a position. */
  async page(
    filter: TrailFilter,
    after: LogPosition | null,
    limit: number,
  ): Promise<readonly AuditRecordRow[]> {
    const { partition, offset } = after ?? { partition: -1, offset: -1 };
    const { rows } = await this.database.read(
      (reader) => sql(reader)<AuditRecordRow>`
        SELECT ${RECORD} FROM audit_records
        WHERE ("partition", "offset") > (${partition}, ${offset}) ${conditions(filter)}
        ORDER BY "partition", "offset" LIMIT ${limit}`,
    );
    return rows;
  }

  /** All records from an offset of each partition on. */
  async *records(filter: TrailFilter, from = 0): AsyncGenerator<AuditRecordRow> {
    let after: LogPosition | null =
      filter.partition === null ? null : { partition: filter.partition, offset: from - 1 };
    for (;;) {
      const page = await this.page(filter, after, PAGE);
      yield* page.filter(({ offset }) => offset >= from);
      after = page.at(-1) ?? null;
      if (after === null || page.length < PAGE) return;
    }
  }

  /** A partition's checkpoints in order. */
  async *checkpoints(partition: number): AsyncGenerator<AuditCheckpointRow> {
    for (let last = -1; ;) {
      const { rows } = await this.database.read(
        (reader) => sql(reader)<AuditCheckpointRow>`
          SELECT "partition", number, next_offset AS "nextOffset", chain, records, at, signature
          FROM audit_checkpoints WHERE "partition" = ${partition} AND number > ${last}
          ORDER BY number LIMIT ${PAGE}`,
      );
      yield* rows;
      const end = rows.at(-1);
      if (end === undefined) return;
      last = end.number;
    }
  }

  /** Every partition that a row of the trail names. */
  async partitions(): Promise<readonly number[]> {
    const { rows } = await this.database.read(
      (reader) => sql(reader)<{ partition: number }>`
        SELECT "partition" FROM audit_heads UNION SELECT DISTINCT "partition" FROM audit_checkpoints
        UNION SELECT DISTINCT "partition" FROM audit_records`,
    );
    return rows.map(({ partition }) => partition);
  }
}

function conditions({ sessionId, principal, partition }: TrailFilter): SqlPart {
  const ofSession = sessionId === null ? part`` : part`AND session_id = ${sessionId}`;
  const ofPrincipal = principal === null ? part`` : part`AND principal = ${principal}`;
  const ofPartition = partition === null ? part`` : part`AND "partition" = ${partition}`;
  return part`${ofSession} ${ofPrincipal} ${ofPartition}`;
}
