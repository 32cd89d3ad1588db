import type { Actor } from '#libs/protocol';
import { Claims, Freshness, ProcessIdentity, SessionReads } from '#libs/store';
import { SessionReleases } from '#libs/session-log';
import { Injectable } from '@nestjs/common';
import { TurnEvents, headOf, turnCancelled } from '../turn/turn-events.js';

/** How long the fold may take, in ms. */
const FOLD_MS = 15_000;

/**
 * Sees to it that a turn that nobody knows never begins, though its holder, who seems dead, may
 * still be about to begin it.
 */
@Injectable()
export class TurnBurner {
  constructor(
    private readonly events: TurnEvents,
    private readonly claims: Claims,
    private readonly releases: SessionReleases,
    private readonly freshness: Freshness,
    private readonly reads: SessionReads,
    private readonly identity: ProcessIdentity,
  ) {}

  /** False where it has begun, or that cannot be said yet. */
  async burn(sessionId: string, turnId: string, by: Actor): Promise<boolean> {
    const state = await this.reads.state(sessionId);
    const isFolded =
      state.phase === 'open'
        ? await this.withdraw(sessionId, turnId, by)
        : await this.outrun(sessionId, turnId, by);
    return isFolded && (await this.reads.attempt(sessionId, turnId)) === null;
  }

  /** An id that was withdrawn can neither be queued nor start. */
  private async withdraw(sessionId: string, turnId: string, by: Actor): Promise<boolean> {
    const withdrawn = await this.events.withdraw({ sessionId, turnId, by }, null, 'connected');
    return (
      withdrawn.type === 'appended' && (await this.freshness.reached(withdrawn.position, FOLD_MS))
    );
  }

  /** A session that is not open yet is opened by nobody whose epoch is lower. */
  private async outrun(sessionId: string, turnId: string, by: Actor): Promise<boolean> {
    return this.claims.inUse.whileStopping(turnId, async () => {
      const { address } = this.identity;
      const epoch = await this.claims.seize(sessionId, turnId, address);
      if (epoch === null) return false;
      const state = await this.reads.state(sessionId);
      const message = 'Its process died before it had begun.';
      const cancelled = await this.events.cancel(
        { sessionId, turnId, epoch, state, by },
        turnCancelled(message),
        { caller: 'gone', usage: null },
      );
      const head = headOf(cancelled);
      await this.releases.release({ sessionId, turnId, epoch, head, answeredBy: null });
      if (head === null) return false;
      return this.freshness.reached(this.freshness.positionOf(sessionId, head), FOLD_MS);
    });
  }
}
