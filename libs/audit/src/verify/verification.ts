import type { ConsumerPositions, EventLog, LogRecord } from '#libs/event-log';
import type { Seals } from '../trail/seals.js';
import { isSame } from '../trail/seals.js';
import { AUDIT } from '../trail/trail.js';
import type { TrailReads } from '../trail/trail-reads.js';
import { trailRecord } from '../trail/trail-record.js';
import type { TrailRecord } from '../trail/trail-record.js';
import type { AuditHeadRow, AuditRecordRow } from '../tables.js';
import { PartitionWalk } from './partition-walk.js';

/** The first record of a partition that is not as it was written. */
interface Damage {
  readonly partition: number;
  readonly offset: number;
  /** In words. */
  readonly problem: string;
}

export interface VerifiedPartition {
  readonly partition: number;
  /** Rows that were walked. */
  readonly records: number;
  readonly checkpoints: number;
  /** The offset after the last record of the trail. */
  readonly nextOffset: number;
  readonly chain: string;
  /** Records of the log that the consumer has not read yet; null where the log was not read. */
  readonly pending: number | null;
  readonly damage: Damage | null;
}

export interface Verdict {
  readonly intact: boolean;
  readonly partitions: readonly VerifiedPartition[];
}

export interface VerificationParts {
  readonly log: EventLog;
  readonly positions: ConsumerPositions;
  readonly reads: TrailReads;
  readonly seals: Seals;
}

/**
 * Walks the trail and makes everything in it anew: chains, signatures of rows, heads and
 * checkpoints; `fromLog` also compares each row with the log's own record. Memory is flat. The
 * services may run meanwhile: what they append behind the head that was read first is not looked
 * at.
 */
export async function verifyTrail(
  parts: VerificationParts,
  { fromLog }: { readonly fromLog: boolean },
): Promise<Verdict> {
  const known = Array.from({ length: parts.log.partitions }, (_, partition) => partition);
  const all = [...new Set([...known, ...(await parts.reads.partitions())])].sort((a, b) => a - b);
  const partitions: VerifiedPartition[] = [];
  for (const partition of all) {
    const isOfLog = partition < parts.log.partitions;
    partitions.push(await verifyPartition(parts, partition, fromLog && isOfLog));
  }
  return { intact: partitions.every(({ damage }) => damage === null), partitions };
}

async function verifyPartition(
  parts: VerificationParts,
  partition: number,
  fromLog: boolean,
): Promise<VerifiedPartition> {
  const { log, positions, reads, seals } = parts;
  // Before the head, which is written with it: so the head cannot be behind it.
  const position = await positions.load(AUDIT, partition);
  const head = await reads.head(partition);
  const walk = new PartitionWalk(partition, seals);
  const nextOffset = head?.nextOffset ?? 0;
  const damage =
    (await damageOfRows(parts, walk, nextOffset, fromLog)) ??
    (await damageOfEnd(parts, walk, head, position));
  const end = fromLog ? await log.end(partition) : null;
  return {
    partition,
    records: walk.records,
    checkpoints: walk.checkpoints,
    nextOffset,
    chain: walk.chain,
    pending: end === null ? null : Math.max(0, end - nextOffset),
    damage,
  };
}

async function damageOfRows(
  { log, reads }: VerificationParts,
  walk: PartitionWalk,
  nextOffset: number,
  fromLog: boolean,
): Promise<Damage | null> {
  const { partition } = walk;
  const filter = { sessionId: null, principal: null, partition };
  const checkpoints = reads.checkpoints(partition);
  const logged = fromLog ? recordsOf(log, partition) : null;
  const damageAt = (offset: number, problem: string) => ({ partition, offset, problem });
  try {
    let mark = await checkpoints.next();
    const damageOfMarks = async (before: number): Promise<Damage | null> => {
      for (
        ;
        mark.done !== true && mark.value.nextOffset <= before;
        mark = await checkpoints.next()
      ) {
        const problem = walk.checkpoint(mark.value);
        if (problem !== null) return damageAt(mark.value.nextOffset, problem);
      }
      return null;
    };
    for await (const row of reads.records(filter)) {
      if (row.offset >= nextOffset) break;
      const damage =
        (logged === null ? null : await differenceFromLog(row, logged)) ??
        (await damageOfMarks(row.offset));
      if (damage !== null) return damage;
      const problem = walk.step(row);
      if (problem !== null) return damageAt(row.offset, problem);
    }
    const damage = await damageOfMarks(nextOffset);
    if (damage !== null || logged === null) return damage;
    const next = await logged.next();
    if (next.done === true || next.value.position.offset >= nextOffset) return null;
    return damageAt(next.value.position.offset, MISSING);
  } finally {
    await logged?.return(undefined);
  }
}

/** What is wrong with where the trail ends: this is where a cut tail shows. */
async function damageOfEnd(
  { reads, seals }: VerificationParts,
  walk: PartitionWalk,
  head: AuditHeadRow | null,
  position: number,
): Promise<Damage | null> {
  const { partition } = walk;
  const nextOffset = head?.nextOffset ?? 0;
  const damageAt = (problem: string, offset = nextOffset) => ({ partition, offset, problem });
  if (head !== null) {
    if (!isSame(head.signature, seals.head(head))) {
      return damageAt('the signature of the head, which says where the trail ends, is wrong');
    }
    if (head.records !== walk.records || head.chain !== walk.chain) {
      const problem = `the head signs ${head.records} records, and there are ${walk.records}: the end was cut`;
      return damageAt(problem, walk.next);
    }
    if (walk.checkpoints < head.checkpoints) {
      return damageAt(`checkpoint ${walk.checkpoints + 1} is missing`);
    }
  }
  if (position > nextOffset) {
    const problem = `the consumer has read to ${position}, and the trail ends here: the end was cut`;
    return damageAt(problem);
  }
  const filter = { sessionId: null, principal: null, partition };
  const [beyond] = await reads.page(filter, { partition, offset: nextOffset - 1 }, 1);
  const latest = beyond === undefined ? null : await reads.head(partition);
  if (beyond === undefined || beyond.offset < (latest?.nextOffset ?? 0)) return null;
  return damageAt('there is a record behind the head', beyond.offset);
}

const MISSING = 'the log has this record, and the trail has not';

/** Null where the row is what this version makes of the log's record at its place. */
async function differenceFromLog(
  row: AuditRecordRow,
  logged: AsyncGenerator<LogRecord>,
): Promise<Damage | null> {
  const { partition, offset } = row;
  const next = await logged.next();
  if (next.done === true || next.value.position.offset > offset) {
    return { partition, offset, problem: 'the log has no record here' };
  }
  const { position, event } = next.value;
  if (position.offset < offset) return { ...position, problem: MISSING };
  const expected = trailRecord(next.value);
  if (expected.recordHash !== row.recordHash) {
    return { partition, offset, problem: 'the record in the log is another one' };
  }
  // A record of a later version was unreadable for whoever chained it, and is not for this one.
  if (event === null || row.eventId === null) return null;
  const field = FIELDS.find((name) => expected[name] !== row[name]);
  if (field === undefined) return null;
  return { partition, offset, problem: `${field} is not what the record in the log says` };
}

const FIELDS: readonly (keyof TrailRecord)[] = [
  'type',
  'eventId',
  'sessionId',
  'turnId',
  'occurredAt',
  'principal',
  'via',
  'address',
  'requestId',
];

async function* recordsOf(log: EventLog, partition: number): AsyncGenerator<LogRecord> {
  for await (const batch of log.read(partition, 0)) yield* batch;
}
