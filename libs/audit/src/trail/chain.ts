import { createHash } from 'node:crypto';
import type { LogPosition, RawRecord } from '#libs/event-log';

/** The chain before the first record of a partition. */
export const GENESIS = '0'.repeat(64);

/** Stands for the length of a key or value that is not there. */
const ABSENT = 0xff_ff_ff_ff;

/**
 * SHA-256 of a record's exact bytes, in hex: key, then value, each behind its length as four bytes,
 * highest first; `ffffffff` and nothing where there is none.
 */
export function recordHash({ key, value }: RawRecord): string {
  const hash = createHash('sha256');
  for (const part of [key, value]) {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(part === null ? ABSENT : part.length);
    hash.update(length);
    if (part !== null) hash.update(part);
  }
  return hash.digest('hex');
}

/**
 * The chain after a record, in hex: SHA-256 of the chain before it (32 bytes), its partition (4),
 * its offset (8) and its `recordHash` (32). It is made of the log alone, so each replay gives the
 * same.
 */
export function chainAfter(
  chain: string,
  { partition, offset }: LogPosition,
  hash: string,
): string {
  const place = Buffer.alloc(12);
  place.writeUInt32BE(partition);
  place.writeBigUInt64BE(BigInt(offset), 4);
  return createHash('sha256')
    .update(Buffer.from(chain, 'hex'))
    .update(place)
    .update(Buffer.from(hash, 'hex'))
    .digest('hex');
}
