import type { ProcessAddress } from '#libs/protocol';
import type { Database } from '#libs/sql';
import { part, raw } from '#libs/sql';
import { distinct } from '../distinct.js';
import { PROJECTOR } from '../projection/projection.js';
import { integer, rows } from '../statement.js';
import type { ClaimsInUse } from './claims-in-use.js';
import { takeOver } from './take-over.js';

/** A claim whose runner is dead, or an open turn that nobody holds a claim for. */
export interface Orphan {
  readonly sessionId: string;
  readonly turnId: string;
  /** The claim that is to be taken over; null where none is held. */
  readonly claim: { readonly epoch: number; readonly incarnation: string } | null;
}

/** By what a runner was judged dead: its beat then; null for one that has left, or is unknown. */
export type Judgement = (incarnation: string) => number | null;

/** Turns that nobody looks after, and their adoption [A6]; only live rows are read [A11]. */
export class Orphans {
  constructor(
    private readonly database: Database,
    private readonly inUse: ClaimsInUse,
  ) {}

  /** The processes that hold claims: one look-up in an index for each. */
  runners(): Promise<readonly string[]> {
    return distinct(this.database, {
      table: 'claims',
      column: 'runner_incarnation',
      where: 'turn_id IS NOT NULL',
    });
  }

  /** Claims that these dead processes hold; none of a quarantined session [A12]. */
  async heldBy(incarnations: readonly string[], limit: number): Promise<readonly Orphan[]> {
    if (incarnations.length === 0) return [];
    const found = await this.database.read(
      (reader) => rows(reader)<{
        sessionId: string;
        turnId: string;
        epoch: number;
        incarnation: string;
      }>`
        SELECT session_id AS "sessionId", turn_id AS "turnId", epoch,
          runner_incarnation AS incarnation
        FROM claims WHERE turn_id IS NOT NULL AND runner_incarnation IN (${[...incarnations]})
          AND NOT EXISTS (SELECT 1 FROM sessions s
            WHERE s.session_id = claims.session_id AND s.phase = 'quarantined')
        LIMIT ${raw(integer(limit))}`,
    );
    return found.map(({ sessionId, turnId, epoch, incarnation }) => ({
      sessionId,
      turnId,
      claim: { epoch, incarnation },
    }));
  }

  /**
   * Open turns without a claim; of those that are parked the ones that wait no more at `now`, in ms
   * since 1970. A turn that has just ended looks like one until it is folded, so the fold must have
   * passed the last event that its claim's release told of.
   */
  async unclaimed(now: number, limit: number): Promise<readonly Orphan[]> {
    const found = await this.database.read(
      (reader) => rows(reader)<{ sessionId: string; turnId: string }>`
        SELECT s.session_id AS "sessionId", s.open_turn_id AS "turnId" FROM sessions s
        LEFT JOIN claims c ON c.session_id = s.session_id
        LEFT JOIN consumer_positions p
          ON p.consumer = ${PROJECTOR} AND p."partition" = s.log_partition
        WHERE s.due_at IS NOT NULL AND s.due_at <= ${now} AND c.turn_id IS NULL
          AND (c.session_id IS NULL OR p.next_offset > c.head_offset)
        LIMIT ${raw(integer(limit))}`,
    );
    return found.map((row) => ({ ...row, claim: null }));
  }

  /**
   * Takes an orphan over, at the next epoch; null if somebody else did, or its runner is heard of
   * again. `judgedBy`: null where every other process is known to be dead.
   */
  async adopt(
    orphan: Orphan,
    runner: ProcessAddress,
    judgedBy: Judgement | null,
  ): Promise<number | null> {
    const { sessionId, turnId, claim } = orphan;
    const unchanged =
      claim === null
        ? part`claims.turn_id IS NULL`
        : part`claims.epoch = ${claim.epoch} AND claims.turn_id IS NOT NULL
            AND ${judgedBy === null ? part`1 = 1` : stillSilent(claim.incarnation, judgedBy)}`;
    return this.inUse.during(turnId, async () => {
      const taking = { sessionId, turnId, runner, where: unchanged };
      const epoch = await takeOver(this.database, taking);
      return { outcome: epoch, isHeld: epoch !== null };
    });
  }
}

function stillSilent(incarnation: string, judgedBy: Judgement) {
  const beat = judgedBy(incarnation);
  const heard = beat === null ? part`1 = 1` : part`p.beat <> ${beat}`;
  return part`NOT EXISTS (SELECT 1 FROM processes p
    WHERE p.incarnation = ${incarnation} AND p.has_left = 0 AND ${heard})`;
}
