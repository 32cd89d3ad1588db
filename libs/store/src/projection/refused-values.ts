import { StorageFault } from '#libs/sql';
import type { EntityManager } from 'typeorm';
import type { Fault, Faults, FoldRecord } from './record-fold.js';

export const NO_FAULTS: Faults = new Map();

/** Folds records of one session, of which some are known to be at fault. */
type FoldSome<T> = (
  transaction: EntityManager,
  records: readonly FoldRecord[],
  faults: Faults,
) => Promise<T>;

/** Whether the database has refused a value, as it will each time. */
export function isRefusedValue(error: unknown): error is StorageFault {
  return error instanceof StorageFault && error.kind === 'data';
}

/**
 * Folds the records of a session; where the database refuses a value of them, again, with what is
 * wrong with the record that brings it. In savepoints, so that the transaction goes on.
 */
export async function withoutRefused<T>(
  transaction: EntityManager,
  records: readonly FoldRecord[],
  fold: FoldSome<T>,
): Promise<T> {
  try {
    return await transaction.transaction((inner) => fold(inner, records, NO_FAULTS));
  } catch (error) {
    if (!isRefusedValue(error)) throw error;
    const fault = await firstRefused(transaction, records, error, fold);
    return fold(transaction, records, new Map([[fault.offset, fault]]));
  }
}

/** A record with which the database refuses what it takes without it; found by halving. */
async function firstRefused(
  transaction: EntityManager,
  records: readonly FoldRecord[],
  refusal: StorageFault,
  fold: FoldSome<unknown>,
): Promise<Fault> {
  let [taken, refused] = [0, records.length];
  let { message: detail } = refusal;
  while (refused - taken > 1) {
    const half = Math.floor((taken + refused) / 2);
    const found = await refusalOf(transaction, (inner) =>
      fold(inner, records.slice(0, half), NO_FAULTS),
    );
    if (found === null) taken = half;
    else [refused, detail] = [half, found.message];
  }
  const record = records[taken];
  if (record === undefined) throw refusal;
  return { offset: record.position.offset, reason: 'refused', detail };
}

/** What the database refuses of some work, of which nothing stays; null where it takes all. */
async function refusalOf(
  transaction: EntityManager,
  work: (inner: EntityManager) => Promise<unknown>,
): Promise<StorageFault | null> {
  try {
    await transaction.transaction(async (inner) => {
      await work(inner);
      throw new Undone();
    });
  } catch (error) {
    if (isRefusedValue(error)) return error;
    if (!(error instanceof Undone)) throw error;
  }
  return null;
}

class Undone extends Error {}
