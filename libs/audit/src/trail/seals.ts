import { createHmac, timingSafeEqual } from 'node:crypto';
import { derivedKey } from '#libs/auth';
import type { AuditCheckpointRow, AuditHeadRow, AuditRecordRow } from '../tables.js';

type Unsigned<T, K extends keyof T> = Readonly<Omit<T, K>>;

/**
 * Signs the rows of the trail by HMAC-SHA-256, with a key that is made of the server's secret for
 * this purpose alone. Who can write the tables and does not have the secret can make no row, no
 * head and no checkpoint.
 */
export class Seals {
  private readonly key: Uint8Array;

  /** `secret`: the bytes that `loadSecret` gave. */
  constructor(secret: Uint8Array) {
    this.key = derivedKey(secret, 'statebridge audit trail 1');
  }

  record(row: Unsigned<AuditRecordRow, 'seal'>): string {
    return this.sign([
      ...['record', row.partition, row.offset, row.eventId, row.type, row.sessionId, row.turnId],
      ...[row.occurredAt, row.principal, row.via, row.address, row.requestId],
      ...[row.recordHash, row.chain],
    ]);
  }

  head(row: Unsigned<AuditHeadRow, 'signature'>): string {
    const { partition, nextOffset, chain, records, checkpoints } = row;
    return this.sign(['head', partition, nextOffset, chain, records, checkpoints]);
  }

  checkpoint(row: Unsigned<AuditCheckpointRow, 'signature'>): string {
    const { partition, number, nextOffset, chain, records, at } = row;
    return this.sign(['checkpoint', partition, number, nextOffset, chain, records, at]);
  }

  /** As JSON, so that no two lists of fields are one text. */
  private sign(fields: readonly (string | number | null)[]): string {
    return createHmac('sha256', this.key).update(JSON.stringify(fields)).digest('hex');
  }
}

/** Whether a signature that was found is the one that was made. */
export function isSame(found: string, made: string): boolean {
  const [left, right] = [Buffer.from(found), Buffer.from(made)];
  return left.length === right.length && timingSafeEqual(left, right);
}
