import type { AskedTurn } from '#libs/domain';
import { MAX_WAITING, wasQueued } from '#libs/domain';
import type { Actor, CallerPresence, TurnError } from '#libs/protocol';
import { SbpError } from '#libs/protocol';
import { SYSTEM } from '#libs/session-log';
import { Freshness, SessionReads } from '#libs/store';
import { backOff, within } from '#libs/timing';
import { Injectable } from '@nestjs/common';
import type { BusySession, ClaimedTurn } from '../claim/turn-claimer.js';
import { TurnClaimer } from '../claim/turn-claimer.js';
import { CompletionsOptions } from '../completions-options.js';
import { settled } from '../turn/settled.js';
import { logRefusal, logSilent } from '../turn/log-refusal.js';
import { TurnEvents, turnCancelled } from '../turn/turn-events.js';
import { WaitingTurns } from './waiting-turns.js';

/** How long the log, and then the fold, may take for a turn that is queued, in ms. */
const QUEUE_TIMEOUT_MS = 10_000;

/** Between tries of a session that somebody still holds, in ms. */
const TRIES = { firstMs: 4, longestMs: 250 };

/** A turn that is to wait. */
export interface QueueRequest {
  readonly session: BusySession;
  readonly turnId: string;
  readonly asked: AskedTurn;
  readonly by: Actor;
  readonly background: boolean;
}

/** A turn that waits, and that this process is to start. */
export interface QueuedTurn {
  readonly session: BusySession;
  readonly turnId: string;
  readonly asked: AskedTurn;
}

/** Puts turns into the queues of their sessions, and starts them when their time has come [A14]. */
@Injectable()
export class TurnQueue {
  constructor(
    private readonly events: TurnEvents,
    private readonly freshness: Freshness,
    private readonly reads: SessionReads,
    private readonly waiting: WaitingTurns,
    private readonly claimer: TurnClaimer,
    private readonly options: CompletionsOptions,
  ) {}

  /**
   * The turn once it is in the queue; null where the session does not go on any more, so that the
   * request is to look again.
   * @throws SbpError SBP_RATE_LIMITED where too many wait; SBP_PAYLOAD_TOO_LARGE;
   *   SBP_UPSTREAM_UNAVAILABLE where the log or the fold does not answer
   */
  async enter(request: QueueRequest): Promise<QueuedTurn | null> {
    const { session, turnId, asked, by, background } = request;
    const { sessionId, endedBefore } = session;
    const queueing = settled(
      this.events.queue({ sessionId, turnId, by }, { ...asked, endedBefore }, background),
    );
    const queued = await within(queueing, QUEUE_TIMEOUT_MS);
    if (queued === 'late') {
      this.withdrawLate(sessionId, turnId);
      throw logSilent();
    }
    if (queued.type === 'rejected' || queued.value.type === 'rejected') throw logRefusal(queued);
    if (!(await this.freshness.reached(queued.value.position, QUEUE_TIMEOUT_MS))) {
      this.withdrawLate(sessionId, turnId);
      throw logSilent();
    }
    const found = await this.look(sessionId, turnId);
    if (found === 'there') return { session, turnId, asked };
    if (found === 'not active') return null;
    throw new SbpError(
      'SBP_RATE_LIMITED',
      `${MAX_WAITING} turns wait in the session already. Try later.`,
      { retryAfter: 1 },
    );
  }

  /**
   * Waits until the turn may start, and claims its session. `left`: somebody else has started or
   * withdrawn it; `closing`: this process ends.
   * @throws SbpError SBP_PAYLOAD_TOO_LARGE: it can never start, and is to be withdrawn
   */
  async start({ session, turnId, asked }: QueuedTurn): Promise<ClaimedTurn | 'left' | 'closing'> {
    const { sessionId, endedBefore } = session;
    for (let tries = 1; ; tries += 1) {
      const turnout = await this.waiting.turnout(sessionId, turnId);
      if (turnout !== 'next') return turnout;
      const claimed = await this.claimHead(sessionId, turnId, asked, endedBefore);
      if (claimed !== null) return claimed;
      await backOff(tries, undefined, TRIES);
    }
  }

  /** As the claimer does; null where it fails for now. @throws SbpError as `start` */
  async claimHead(
    sessionId: string,
    turnId: string,
    asked: AskedTurn,
    endedBefore: number,
  ): Promise<ClaimedTurn | null> {
    try {
      return await this.claimer.claimHead(sessionId, turnId, asked, endedBefore);
    } catch (error) {
      if (!(error instanceof SbpError) || error.code !== 'SBP_PAYLOAD_TOO_LARGE') {
        this.options.onProblem(`turn ${turnId} that waited could not be started yet`, error);
        return null;
      }
      throw error;
    }
  }

  /**
   * Ends a turn that waits, and waits for the fold; one that has started goes on. `error`: null
   * where its caller is told that nothing has begun, so that nothing is left of it.
   */
  async withdraw(
    sessionId: string,
    turnId: string,
    error: TurnError | null,
    caller: CallerPresence,
    by: Actor = SYSTEM,
  ): Promise<void> {
    const withdrawn = await this.events.withdraw({ sessionId, turnId, by }, error, caller);
    if (withdrawn.type === 'appended') await this.freshness.reached(withdrawn.position);
  }

  /** As `withdraw`; false where it fails for now, and the turn waits on. */
  async tryWithdraw(...withdrawal: Parameters<TurnQueue['withdraw']>): Promise<boolean> {
    try {
      await this.withdraw(...withdrawal);
      return true;
    } catch (error) {
      const [, turnId] = withdrawal;
      this.options.onProblem(`turn ${turnId} that cannot start was not withdrawn yet`, error);
      return false;
    }
  }

  /** Its caller has left, and wanted it to end then. */
  leave({ session, turnId }: QueuedTurn): void {
    const message = 'The caller went away, and had asked for the turn to be cancelled then.';
    this.withdraw(session.sessionId, turnId, turnCancelled(message), 'gone').catch(
      (error: unknown) => {
        this.options.onProblem(`turn ${turnId} was not withdrawn with its caller`, error);
      },
    );
  }

  /** Its caller is told that nothing has begun. */
  private withdrawLate(sessionId: string, turnId: string): void {
    this.events
      .withdraw({ sessionId, turnId, by: SYSTEM }, null, 'connected')
      .catch((error: unknown) => {
        this.options.onProblem('a turn that was queued late was not withdrawn', error);
      });
  }

  private async look(sessionId: string, turnId: string): Promise<'there' | 'not active' | 'full'> {
    const state = await this.reads.state(sessionId);
    if (state.phase === 'open' && wasQueued(state, turnId)) return 'there';
    if ((await this.reads.attempt(sessionId, turnId)) !== null) return 'there';
    return state.phase === 'open' && state.life.type !== 'active' ? 'not active' : 'full';
  }
}
