import type { SessionState } from '#libs/domain';
import { initialState } from '#libs/domain';
import type { ReadRecord } from '#libs/protocol';
import { eventNameOf, isUuid } from '#libs/protocol';
import type { StoredState } from '../quarantine/stored-state.js';
import type { Batch, Evolve } from './batch.js';
import { addEvent, emptyBatch } from './batch.js';
import type { ExportFates } from './roaming-writes.js';

/** A record of a partition with its offset. */
export type FoldRecord = ReadRecord & { readonly position: { readonly offset: number } };

/** Why a session is quarantined [A12]. */
type QuarantineReason =
  | 'malformed'
  | 'unknown_type'
  | 'unknown_schema'
  /** The event can be read, and the fold throws at it. */
  | 'fold_failed'
  /** The event can be folded, and the database takes no row of what comes of it. */
  | 'refused'
  /** The record's key is the id of no session. */
  | 'no_session';

export interface Fault {
  readonly offset: number;
  readonly reason: QuarantineReason;
  /** For an operator; nothing of what people or models wrote. */
  readonly detail: string;
}

/** By the offset of the record. */
export type Faults = ReadonlyMap<number, Fault>;

/** The records of a session that are not folded, in their order. */
export interface HeldRecords {
  /** Of the first of them; null where the session was quarantined before. */
  readonly fault: Fault | null;
  readonly records: FoldRecord[];
}

export interface FoldedRecords {
  readonly batch: Batch;
  readonly held: ReadonlyMap<string, HeldRecords>;
  /** By type: unknown events whose writers allow that they are passed over. */
  readonly skipped: ReadonlyMap<string, number>;
}

export interface FoldGiven {
  readonly partition: number;
  readonly records: readonly FoldRecord[];
  readonly stored: ReadonlyMap<string, StoredState>;
  readonly fates: ExportFates;
  readonly evolve: Evolve;
  /** What is known to be wrong with them. */
  readonly faults: Faults;
}

/** Under what the records of a partition are held whose keys are no session ids. */
export function bucketOf(partition: number): string {
  return `no-session-${partition}`;
}

/** Where a record is held if it cannot be folded: with its session's others. */
export function holderOf(partition: number, { key }: FoldRecord): string {
  return isUuid(key) ? key : bucketOf(partition);
}

/**
 * Folds records in memory: pure, so whatever throws throws again each time, and is the event's
 * fault. Then all is folded once more without it and what stands behind it in its session: at most
 * once for each session.
 */
export function foldRecords(given: FoldGiven): FoldedRecords {
  const broken = new Map(given.faults);
  for (;;) {
    const folded = tryFold(given, broken);
    if (folded !== null) return folded;
  }
}

/** Null where the fold threw at an event that is among the broken ones now. */
function tryFold(given: FoldGiven, broken: Map<number, Fault>): FoldedRecords | null {
  const { partition, records, stored, fates, evolve } = given;
  const batch = emptyBatch(fates);
  const before = new Map([...stored].filter(isServed));
  const held = new Map<string, HeldRecords>();
  const skipped = new Map<string, number>();
  for (const record of records) {
    const { event, unread } = record;
    const { offset } = record.position;
    const sessionId = holderOf(partition, record);
    const isHeld = held.has(sessionId) || stored.get(sessionId)?.phase === 'quarantined';
    const fault = isHeld ? null : (broken.get(offset) ?? faultOf(record));
    if (isHeld || fault !== null) {
      const others = held.get(sessionId) ?? { fault, records: [] };
      others.records.push(record);
      held.set(sessionId, others);
    } else if (unread !== null) {
      const type = eventNameOf(record.text).type ?? '';
      skipped.set(type, (skipped.get(type) ?? 0) + 1);
    } else {
      try {
        addEvent(batch, before, event, evolve);
      } catch (error) {
        broken.set(offset, { offset, reason: 'fold_failed', detail: failure(event.type, error) });
        return null;
      }
    }
  }
  return { batch, held, skipped };
}

/** A session as it stands after the records that were folded. */
export function stateAfter(
  { batch }: FoldedRecords,
  stored: ReadonlyMap<string, StoredState>,
  sessionId: string,
): SessionState {
  const before = stored.get(sessionId);
  const served = before === undefined || before.phase === 'quarantined' ? initialState : before;
  return batch.sessions.get(sessionId) ?? served;
}

function isServed(entry: [string, StoredState]): entry is [string, SessionState] {
  return entry[1].phase !== 'quarantined';
}

function faultOf({ key, unread, position: { offset } }: FoldRecord): Fault | null {
  if (!isUuid(key)) {
    return { offset, reason: 'no_session', detail: 'the key of the record is no session id' };
  }
  if (unread === null || unread.reason === 'optional') return null;
  return { offset, reason: unread.reason, detail: unread.detail };
}

/** What an error says may quote anything, so its kind must do. */
function failure(type: string, error: unknown): string {
  const kind = error instanceof Error ? error.name : typeof error;
  return `the fold of ${type} threw ${kind}`;
}
