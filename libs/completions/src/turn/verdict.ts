import type { CallerPresence } from '#libs/protocol';
import { Freshness, ProcessIdentity, SessionReads } from '#libs/store';
import { Injectable } from '@nestjs/common';
import { SessionReleases } from '../claim/session-releases.js';
import type { TurnAttempt } from './turn-attempt.js';

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
    private readonly releases: SessionReleases,
    private readonly freshness: Freshness,
    private readonly reads: SessionReads,
    private readonly identity: ProcessIdentity,
  ) {}

  /**
   * Whether the end of this attempt is the turn's. `head`: the offset of the end; null where the
   * log did not take it. A caller who is there is about to be answered, and the release says so.
   */
  async counted(
    attempt: TurnAttempt,
    head: number | null,
    caller: CallerPresence,
  ): Promise<boolean> {
    const { sessionId, turnId, epoch } = attempt;
    const { incarnation } = this.identity.address;
    const answeredBy = caller === 'connected' ? incarnation : null;
    const release = { sessionId, turnId, epoch, head, answeredBy };
    if (await this.releases.release(release)) return true;
    if (head === null) return false;
    const position = this.freshness.positionOf(sessionId, head);
    if (!(await this.freshness.reached(position, FOLD_MS))) return false;
    const turn = await this.reads.turn(sessionId, turnId);
    return turn !== null && turn.status !== 'open' && turn.epoch === epoch;
  }
}
