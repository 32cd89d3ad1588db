import type { EntityManager } from 'typeorm';
import type { LogBatch } from '#libs/event-log';
import { sql, tuples } from '#libs/sql';
import type { AuditCheckpointRow, AuditHeadRow, AuditRecordRow } from '../tables.js';
import { GENESIS, chainAfter } from './chain.js';
import type { Seals } from './seals.js';
import { trailRecord } from './trail-record.js';
import { headOf, lastCheckpointAt } from './trail-reads.js';

/** The consumer of the log that keeps the trail. */
export const AUDIT = 'audit';

export interface CheckpointRule {
  /** A checkpoint is due after so many records, */
  readonly everyRecords: number;
  /** and with the first batch this long after the one before, in ms. */
  readonly everyMs: number;
}

const USUAL: CheckpointRule = { everyRecords: 1_000, everyMs: 60_000 };

/** The trail of a partition ends before the consumer's position: rows were taken out of it. */
class TrailCut extends Error {
  override readonly name = 'TrailCut';
}

/**
 * Appends to the trail, a partition's batch at a time, in the transaction of the consumer's
 * position [A4]. A batch takes a constant number of statements.
 *
 * The signed head is the trail's own position. A batch that begins before it (the tables were kept
 * while all consumers began again) is passed over up to it; one that begins behind it would leave a
 * gap, and is refused.
 */
export class Trail {
  constructor(
    private readonly seals: Seals,
    private readonly rule: CheckpointRule = USUAL,
    private readonly now: () => number = Date.now,
  ) {}

  /** @throws TrailCut */
  async append(transaction: EntityManager, batch: LogBatch): Promise<void> {
    const { partition, from, next } = batch;
    const head = await headOf(transaction, partition);
    const begin = head?.nextOffset ?? 0;
    if (from > begin) {
      throw new TrailCut(
        `The audit trail of partition ${partition} ends at ${begin}, before its consumer's position ${from}: ` +
          'rows were removed. See docs/consumers.md, "When the trail is damaged".',
      );
    }
    if (next <= begin) return;
    const rows = this.rowsOf(batch, begin, head?.chain ?? GENESIS);
    const records = (head?.records ?? 0) + rows.length;
    const chain = rows.at(-1)?.chain ?? head?.chain ?? GENESIS;
    const end = { partition, nextOffset: next, chain, records };
    if (rows.length > 0) await insertRecords(transaction, rows);
    const checkpoint = await this.checkpoint(transaction, head, end);
    if (checkpoint !== null) await insertCheckpoint(transaction, checkpoint);
    const checkpoints = checkpoint?.number ?? head?.checkpoints ?? 0;
    const signature = this.seals.head({ ...end, checkpoints });
    await writeHead(transaction, { ...end, checkpoints, signature });
  }

  private rowsOf(
    { partition, records }: LogBatch,
    begin: number,
    before: string,
  ): readonly AuditRecordRow[] {
    let chain = before;
    return records
      .filter(({ position }) => position.offset >= begin)
      .map((record) => {
        const told = trailRecord(record);
        chain = chainAfter(chain, { partition, offset: told.offset }, told.recordHash);
        const row = { ...told, chain };
        return { ...row, seal: this.seals.record(row) };
      });
  }

  /** The checkpoint that is due, or null. */
  private async checkpoint(
    transaction: EntityManager,
    head: AuditHeadRow | null,
    end: Pick<AuditHeadRow, 'partition' | 'nextOffset' | 'chain' | 'records'>,
  ): Promise<AuditCheckpointRow | null> {
    const number = (head?.checkpoints ?? 0) + 1;
    const last = await lastCheckpointAt(transaction, end.partition, number - 1);
    const at = this.now();
    const isDue =
      last === null ||
      end.records - last.records >= this.rule.everyRecords ||
      at - last.at >= this.rule.everyMs;
    if (!isDue) return null;
    const row = { ...end, number, at };
    return { ...row, signature: this.seals.checkpoint(row) };
  }
}

async function insertRecords(
  transaction: EntityManager,
  rows: readonly AuditRecordRow[],
): Promise<void> {
  await sql(transaction)`
    INSERT INTO audit_records ("partition", "offset", event_id, type, session_id, turn_id, occurred_at,
      principal, via, address, request_id, record_hash, chain, seal)
    VALUES ${tuples(
      rows.map((row) => [
        ...[row.partition, row.offset, row.eventId, row.type, row.sessionId, row.turnId],
        ...[row.occurredAt, row.principal, row.via, row.address, row.requestId],
        ...[row.recordHash, row.chain, row.seal],
      ]),
    )}`;
}

async function insertCheckpoint(
  transaction: EntityManager,
  { partition, number, nextOffset, chain, records, at, signature }: AuditCheckpointRow,
): Promise<void> {
  await sql(transaction)`
    INSERT INTO audit_checkpoints ("partition", number, next_offset, chain, records, at, signature)
    VALUES (${partition}, ${number}, ${nextOffset}, ${chain}, ${records}, ${at}, ${signature})`;
}

async function writeHead(
  transaction: EntityManager,
  { partition, nextOffset, chain, records, checkpoints, signature }: AuditHeadRow,
): Promise<void> {
  await sql(transaction)`
    INSERT INTO audit_heads ("partition", next_offset, chain, records, checkpoints, signature)
    VALUES (${partition}, ${nextOffset}, ${chain}, ${records}, ${checkpoints}, ${signature})
    ON CONFLICT ("partition") DO UPDATE SET next_offset = excluded.next_offset, chain = excluded.chain,
      records = excluded.records, checkpoints = excluded.checkpoints, signature = excluded.signature`;
}
