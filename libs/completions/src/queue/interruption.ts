import type { AskedTurn, OpenSession } from '#libs/domain';
import { endedTurns } from '#libs/domain';
import type { Actor, ProcessAddress } from '#libs/protocol';
import { SbpError } from '#libs/protocol';
import { Claims, Freshness, ProcessIdentity, SessionReads } from '#libs/store';
import { SessionReleases } from '#libs/session-log';
import { backOff } from '#libs/timing';
import { Injectable } from '@nestjs/common';
import { Conversations } from '../claim/conversations.js';
import type { ClaimedTurn } from '../claim/turn-claimer.js';
import { turnOf } from '../claim/turn-claimer.js';
import { RunStops } from '../turn/run-stops.js';
import { TurnEvents, headOf, turnCancelled } from '../turn/turn-events.js';

/** Reads of a session that others take meanwhile, and the time between them, in ms: 20 s in all. */
const MOST_TRIES = 80;
const TRIES = { firstMs: 4, longestMs: 250 };

/** A turn that is to run instead of what runs and waits. */
export interface Interrupting {
  readonly turnId: string;
  readonly asked: AskedTurn;
  readonly by: Actor;
}

/** What runs in a session, or is about to. */
interface Running {
  readonly turnId: string;
  readonly runner: ProcessAddress;
}

/**
 * Takes a session from the turn that runs in it, for a new one [A14]: takes its claim at two
 * epochs, states the end of the old turn at the lower, and leaves the higher to the new turn, whose
 * start ends what waits. Of several at once each ends the one before it, and the last one runs.
 */
@Injectable()
export class Interruption {
  constructor(
    private readonly claims: Claims,
    private readonly releases: SessionReleases,
    private readonly stops: RunStops,
    private readonly events: TurnEvents,
    private readonly freshness: Freshness,
    private readonly reads: SessionReads,
    private readonly conversations: Conversations,
    private readonly identity: ProcessIdentity,
  ) {}

  /**
   * Null where the session does not go on any more, so that the request is to look again.
   * @throws SbpError SBP_PAYLOAD_TOO_LARGE; SessionQuarantined
   */
  async take(sessionId: string, { turnId, asked, by }: Interrupting): Promise<ClaimedTurn | null> {
    const { epoch, over } = await this.seize(sessionId, turnId);
    try {
      await this.freshness.presence(sessionId);
      const seen = await this.reads.open(sessionId);
      const running = over ?? seen.turn;
      if (running !== null) await this.end(sessionId, running, { epoch: epoch - 1, by, seen });
      // What it reads was there when it took the session: all of it may be edited.
      let state = running === null ? seen : await this.reads.open(sessionId);
      for (let tries = 1; state.life.type === 'active'; tries += 1) {
        const ended = endedTurns(state);
        const conversation = await this.conversations.goOn(sessionId, state, asked, ended);
        if (conversation !== null) return turnOf(conversation, { sessionId, turnId, epoch, state });
        // Another one interrupts this one by now, which its start will find.
        if (tries === MOST_TRIES) throw notReadable();
        await backOff(tries, undefined, TRIES);
        state = await this.reads.open(sessionId);
      }
      await this.letGo(sessionId, turnId, epoch);
      return null;
    } catch (error) {
      await this.letGo(sessionId, turnId, epoch);
      throw error;
    }
  }

  private async letGo(sessionId: string, turnId: string, epoch: number): Promise<void> {
    const answeredBy = null;
    await this.releases.release({ sessionId, turnId, epoch, head: null, answeredBy });
  }

  private async seize(
    sessionId: string,
    turnId: string,
  ): Promise<{ readonly epoch: number; readonly over: Running | null }> {
    for (;;) {
      const claim = await this.claims.inspect(sessionId);
      const held = claim?.turnId ?? null;
      const taking = { sessionId, turnId, runner: this.identity.address };
      const epoch = await this.claims.interrupt(taking, held);
      // Null where somebody else was quicker: he has it, or has let it go. Or it is quarantined,
      // which this read says by its throw: nobody will ever have it.
      if (epoch === null) {
        await this.reads.state(sessionId);
        continue;
      }
      const over = held === null || claim === null ? null : { turnId: held, runner: claim.runner };
      return { epoch, over };
    }
  }

  /** Ends the turn that runs, in its process and in the log. */
  private async end(
    sessionId: string,
    { turnId, runner }: Running,
    {
      epoch,
      by,
      seen: state,
    }: { readonly epoch: number; readonly by: Actor; readonly seen: OpenSession },
  ): Promise<void> {
    const stopped = await this.stops.stop({ sessionId, turnId, runner });
    if (stopped.caller === 'connected') {
      await this.claims.promise({ sessionId, epoch: epoch + 1 }, turnId, runner.incarnation);
    }
    const message = 'Another turn was started in its place.';
    const cancelled = await this.events.cancel(
      { sessionId, turnId, epoch, state, by },
      turnCancelled(message),
      stopped,
    );
    const head = headOf(cancelled);
    if (head !== null) await this.freshness.untilFolded(this.freshness.positionOf(sessionId, head));
  }
}

function notReadable(): SbpError {
  const message = 'The session could not be read for 20 s, because others take it. Try later.';
  return new SbpError('SBP_SESSION_CONFLICT', message);
}
