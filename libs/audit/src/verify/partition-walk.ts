import { GENESIS, chainAfter } from '../trail/chain.js';
import type { Seals } from '../trail/seals.js';
import { isSame } from '../trail/seals.js';
import type { AuditCheckpointRow, AuditRecordRow } from '../tables.js';

/** Goes through a partition's trail, and makes its chain again. */
export class PartitionWalk {
  private chained = GENESIS;
  private count = 0;
  private marks = 0;
  private end = 0;

  constructor(
    readonly partition: number,
    private readonly seals: Seals,
  ) {}

  get chain(): string {
    return this.chained;
  }

  get records(): number {
    return this.count;
  }

  get checkpoints(): number {
    return this.marks;
  }

  /** The offset after the last row. */
  get next(): number {
    return this.end;
  }

  /** What is wrong with the next row, in words; null if nothing is. */
  step(row: AuditRecordRow): string | null {
    const chain = chainAfter(this.chained, row, row.recordHash);
    if (chain !== row.chain) {
      return 'the chain does not follow from the record before: something was changed, removed, put in or moved';
    }
    if (!isSame(row.seal, this.seals.record(row))) {
      return 'the signature of the row is wrong: a field was changed, or it was signed with another secret';
    }
    this.chained = chain;
    this.count += 1;
    this.end = row.offset + 1;
    return null;
  }

  /** What is wrong with the checkpoint that stands behind the last row. */
  checkpoint(row: AuditCheckpointRow): string | null {
    this.marks += 1;
    if (row.number !== this.marks) return `checkpoint ${this.marks} is missing`;
    if (!isSame(row.signature, this.seals.checkpoint(row))) {
      return `the signature of checkpoint ${row.number} is wrong`;
    }
    if (row.chain !== this.chained || row.records !== this.count) {
      return `checkpoint ${row.number} says otherwise: the trail before it was written anew`;
    }
    return null;
  }
}
