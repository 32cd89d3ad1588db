import type { SessionState } from '#libs/domain';
import { evolve as domainEvolve, initialState } from '#libs/domain';
import type { LogEvent, ProcessAddress } from '#libs/protocol';
import { isUuid } from '#libs/protocol';
import type { EntityManager } from 'typeorm';
import { countSkipped, holdRecords } from '../quarantine/quarantine-statements.js';
import type { StoredState } from '../quarantine/stored-state.js';
import { quarantined } from '../quarantine/stored-state.js';
import type { Evolve, PokeTarget } from './batch.js';
import { addPoke } from './batch.js';
import type { Fault, Faults, FoldGiven, FoldRecord, FoldedRecords } from './record-fold.js';
import { foldRecords, holderOf, stateAfter } from './record-fold.js';
import { NO_FAULTS, isRefusedValue, withoutRefused } from './refused-values.js';
import { loadFates } from './roaming-writes.js';
import {
  dropSession,
  loadStates,
  writeKeys,
  writeLiveSessions,
  writeSessions,
} from './session-statements.js';
import { writeTurns } from './turn-statements.js';

/** The consumer of the log that folds it; its position says how far the read models are. */
export const PROJECTOR = 'projector';

/** A session that a batch has quarantined. */
export interface NewlyQuarantined extends Fault {
  readonly sessionId: string;
  readonly partition: number;
}

export interface Applied {
  /** The processes to poke once it has committed. */
  readonly pokes: readonly PokeTarget[];
  readonly quarantined: readonly NewlyQuarantined[];
}

/** What is to be folded of a session that is quarantined. */
export interface HeldSession {
  readonly sessionId: string;
  readonly partition: number;
  readonly before: SessionState;
  readonly records: readonly FoldRecord[];
  /** Whether no more of its records are held behind them. */
  readonly isAll: boolean;
}

/**
 * The read models as a pure fold of the log [A4]: every rule is in the domain's `evolve`, none is
 * in SQL. A batch takes a constant number of statements, however many events it has [A11]. What
 * cannot be folded quarantines its session, and no other one [A12].
 *
 * Where the database refuses a value, the whole transaction is lost, and nobody knows whose value
 * it was. So the partition's next try goes session by session, each in a savepoint, and quarantines
 * those of which the database takes no row.
 */
export class Projection {
  /** Partitions whose last batch had a value that the database refused. */
  private readonly refused = new Set<number>();

  constructor(private readonly evolve: Evolve = domainEvolve) {}

  /**
   * Folds records of a partition, in log order, inside the caller's transaction. It throws only
   * where the database fails, and once where it refuses a value: the next try folds what it can.
   */
  async apply(
    transaction: EntityManager,
    partition: number,
    records: readonly FoldRecord[],
  ): Promise<Applied> {
    if (this.refused.has(partition)) {
      const applied = await this.applyOneByOne(transaction, partition, records);
      this.refused.delete(partition);
      return applied;
    }
    try {
      return await this.applyAll(transaction, partition, records, NO_FAULTS);
    } catch (error) {
      if (isRefusedValue(error)) this.refused.add(partition);
      throw error;
    }
  }

  private async applyOneByOne(
    transaction: EntityManager,
    partition: number,
    records: readonly FoldRecord[],
  ): Promise<Applied> {
    const sessions = Map.groupBy(records, (record) => holderOf(partition, record));
    const applied: Applied[] = [];
    for (const ofSession of sessions.values()) {
      applied.push(
        await withoutRefused(transaction, ofSession, (inner, some, faults) =>
          this.applyAll(inner, partition, some, faults),
        ),
      );
    }
    return {
      pokes: applied.flatMap(({ pokes }) => pokes),
      quarantined: applied.flatMap((each) => each.quarantined),
    };
  }

  private async applyAll(
    transaction: EntityManager,
    partition: number,
    records: readonly FoldRecord[],
    faults: Faults,
  ): Promise<Applied> {
    const sessionIds = new Set(records.map(({ key }) => key).filter(isUuid));
    const stored =
      sessionIds.size === 0
        ? new Map<string, StoredState>()
        : await loadStates(transaction, sessionIds);
    const folded = await this.fold(transaction, { partition, records, stored, faults });
    const newly = newlyQuarantined(partition, folded);
    const states = new Map<string, StoredState>(folded.batch.sessions);
    for (const { sessionId, reason } of newly) {
      if (reason === 'no_session') continue;
      const before = stateAfter(folded, stored, sessionId);
      states.set(sessionId, quarantined(before));
      for (const process of involvedIn(before)) addPoke(folded.batch, { sessionId, process });
    }
    const changed = [...states].filter(
      ([id, state]) => stored.get(id) !== state && state !== initialState,
    );
    await writeBatch(transaction, partition, folded, changed);
    if (folded.held.size > 0) await holdRecords(transaction, partition, folded.held);
    return { pokes: [...folded.batch.pokes.values()], quarantined: newly };
  }

  /**
   * Folds records that were held, as far as it can; gives what stands against the first that
   * cannot be folded. Without that, and if it was all, the session is served again.
   */
  resume(transaction: EntityManager, session: HeldSession): Promise<Fault | null> {
    return withoutRefused(transaction, session.records, (inner, records, faults) =>
      this.resumeAll(inner, { ...session, records }, faults),
    );
  }

  private async resumeAll(
    transaction: EntityManager,
    { sessionId, partition, before, records, isAll }: HeldSession,
    faults: Faults,
  ): Promise<Fault | null> {
    const stored = new Map<string, StoredState>([[sessionId, before]]);
    const folded = await this.fold(transaction, { partition, records, stored, faults });
    const after = stateAfter(folded, stored, sessionId);
    const fault = folded.held.get(sessionId)?.fault ?? null;
    const isServed = fault === null && isAll;
    const state = isServed ? after : quarantined(after);
    await writeBatch(transaction, partition, folded, [[sessionId, state]]);
    // Nothing counted of what it has: then it has no row, as if it had never been quarantined.
    if (state === initialState) await dropSession(transaction, sessionId);
    return fault;
  }

  private async fold(
    transaction: EntityManager,
    given: Omit<FoldGiven, 'fates' | 'evolve'>,
  ): Promise<FoldedRecords> {
    const events = given.records.flatMap(({ event }): readonly LogEvent[] =>
      event === null ? [] : [event],
    );
    const fates = await loadFates(transaction, events);
    return foldRecords({ ...given, fates, evolve: this.evolve });
  }
}

async function writeBatch(
  transaction: EntityManager,
  partition: number,
  { batch, skipped }: FoldedRecords,
  changed: readonly (readonly [string, StoredState])[],
): Promise<void> {
  if (changed.length > 0) await writeSessions(transaction, partition, changed, batch.labels);
  await writeTurns(transaction, batch.turns);
  await batch.tools.write(transaction);
  await batch.roaming.write(transaction);
  if (batch.keys.size > 0) await writeKeys(transaction, batch.keys);
  if (skipped.size > 0) await countSkipped(transaction, partition, skipped);
  // Last, and in one order for all projectors: many sessions share one row of it.
  if (batch.live.size > 0) await writeLiveSessions(transaction, batch.live);
}

function newlyQuarantined(partition: number, { held }: FoldedRecords): readonly NewlyQuarantined[] {
  return [...held].flatMap(([sessionId, { fault }]) =>
    fault === null ? [] : [{ ...fault, sessionId, partition }],
  );
}

/** Who must learn that nothing more happens in a session. */
function involvedIn(state: SessionState): readonly ProcessAddress[] {
  if (state.phase !== 'open') return [];
  const { surface, turn, waiting } = state;
  return [
    ...(surface.type === 'attached' ? [surface.attachment.gateway] : []),
    ...(turn === null ? [] : [turn.runner]),
    ...waiting.map(({ holder }) => holder),
  ];
}
