import type { CallerPresence, TurnStatus } from '#libs/protocol';
import { Claims, Freshness, ProcessIdentity, SessionReads, hasEnded } from '#libs/store';
import type { LogPosition } from '#libs/event-log';
import { backOff } from '#libs/timing';
import { SessionReleases } from '#libs/session-log';
import { Injectable } from '@nestjs/common';
import type { TurnAttempt } from './turn-attempt.js';

/** The end of a turn, as an attempt has stated it. */
export interface StatedEnd {
  readonly status: TurnStatus;
  /** The event's offset; null where the log did not take it. */
  readonly head: number | null;
  readonly caller: CallerPresence;
}

/** Between looks for who has a turn, in ms. */
const LOOKS = { firstMs: 5, longestMs: 200 };

/** How many ms the fold may take to show whether an end counted. */
const FOLD_MS = 15_000;

/**
 * After a turn's end is acknowledged the release of its claim decides: if it succeeds, no rival's
 * event stands before ours; if it is refused, the fold says whether this attempt's end counted
 * [A3].
 */
@Injectable()
export class Verdict {
  constructor(
    private readonly claims: Claims,
    private readonly releases: SessionReleases,
    private readonly freshness: Freshness,
    private readonly reads: SessionReads,
    private readonly identity: ProcessIdentity,
  ) {}

  /**
   * Whether the end of this attempt is the turn's. A caller who is there is about to be answered,
   * and the release says so.
   */
  async counted(attempt: TurnAttempt, { status, head, caller }: StatedEnd): Promise<boolean> {
    const { sessionId, turnId, epoch } = attempt;
    const { incarnation } = this.identity.address;
    const answeredBy = caller === 'connected' ? incarnation : null;
    const release = { sessionId, turnId, epoch, head, answeredBy };
    if (await this.releases.release(release)) return true;
    if (head === null) return false;
    const position = this.freshness.positionOf(sessionId, head);
    if (!(await this.freshness.reached(position, FOLD_MS))) return false;
    const turn = await this.reads.attempt(sessionId, turnId);
    return turn !== null && turn.status === status && turn.epoch === epoch;
  }

  /** Whether the start of this attempt opened the turn: waits until that is folded. */
  async started(
    { sessionId, turnId, epoch }: TurnAttempt,
    position: LogPosition,
  ): Promise<boolean> {
    if (!(await this.freshness.reached(position, FOLD_MS))) return false;
    const turn = await this.reads.attempt(sessionId, turnId);
    return turn !== null && turn.epoch === epoch;
  }

  /**
   * What became of a turn whose claim was lost: waits until the fold shows who has it, or that it
   * never started.
   */
  async withoutUs({
    sessionId,
    turnId,
    epoch,
  }: TurnAttempt): Promise<'cancelled' | 'elsewhere' | 'never-started'> {
    const deadline = performance.now() + FOLD_MS;
    for (let looks = 1; performance.now() < deadline; looks++) {
      const turn = await this.reads.attempt(sessionId, turnId);
      if (turn?.status === 'cancelled') return 'cancelled';
      if (turn === null) {
        // Nothing of it comes any more once the fold has passed what is in the log now.
        await this.freshness.latest(sessionId);
        if ((await this.reads.attempt(sessionId, turnId)) !== null) continue;
        // Who interrupts it has ended it, though the log never had it; word of that may be lost.
        const isCancelled = await this.claims.wasInterrupted(sessionId, epoch);
        return isCancelled ? 'cancelled' : 'never-started';
      }
      if (hasEnded(turn.status) || turn.epoch > epoch) return 'elsewhere';
      await backOff(looks, undefined, LOOKS);
    }
    return 'elsewhere';
  }
}
