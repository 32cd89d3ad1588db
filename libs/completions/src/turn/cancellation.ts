import type { OpenSession } from '#libs/domain';
import type { Actor, TurnStatus } from '#libs/protocol';
import { SbpError } from '#libs/protocol';
import { Claims, Freshness, ProcessIdentity, SessionReads, hasEnded } from '#libs/store';
import { SessionReleases } from '#libs/session-log';
import { within } from '#libs/timing';
import { Injectable } from '@nestjs/common';
import { TurnQueue } from '../queue/turn-queue.js';
import type { StoppableRun } from './run-stops.js';
import { RunStops } from './run-stops.js';
import { TurnEvents, headOf, turnCancelled } from './turn-events.js';

/** How long the fold may take to show what became of the turn, in ms. */
const FOLD_MS = 15_000;

/** How long whoever asked waits for all of it, in ms; it goes on. */
const CANCEL_MS = 25_000;

/** What is told of the turn. */
const CANCELLED = 'The turn was cancelled.';

/**
 * Stops a turn, whichever process runs it [A13]: takes its claim at a higher epoch, so that the end
 * its runner may still state does not count; tells the runner, which ends the call of the model and
 * says what it had; appends `turn.cancelled`; and answers what the fold then says, because the turn
 * may have ended before.
 */
@Injectable()
export class Cancellation {
  /** By their turns: whoever asks for the same again waits for the same. */
  private readonly stopping = new Map<string, Promise<TurnStatus>>();

  constructor(
    private readonly claims: Claims,
    private readonly releases: SessionReleases,
    private readonly events: TurnEvents,
    private readonly stops: RunStops,
    private readonly queue: TurnQueue,
    private readonly identity: ProcessIdentity,
    private readonly freshness: Freshness,
    private readonly reads: SessionReads,
  ) {}

  /**
   * What became of the turn; if none is named, of the running one, or else of the next. One that
   * waits is withdrawn.
   * @throws SbpError SBP_SESSION_CONFLICT where it has ended; SBP_UPSTREAM_UNAVAILABLE where
   *   what became of it cannot be said yet
   */
  async cancel(
    sessionId: string,
    session: OpenSession,
    named: string | null,
    by: Actor,
  ): Promise<{ readonly turnId: string; readonly status: TurnStatus }> {
    const { turn, waiting } = session;
    const turnId = named ?? turn?.turnId ?? waiting[0]?.turnId ?? null;
    if (waiting.some((waiter) => waiter.turnId === turnId) && turnId !== null) {
      return this.withdraw(sessionId, turnId, by);
    }
    if (turn === null || turn.turnId !== turnId) throw await this.notRunning(sessionId, turnId);
    const target = { sessionId, turnId: turn.turnId, runner: turn.runner };
    const stopping = this.stopping.get(target.turnId) ?? this.begin(target, session, by);
    const status = await within(stopping, CANCEL_MS);
    if (status === 'late') throw notReadable();
    return { turnId: target.turnId, status };
  }

  private async withdraw(
    sessionId: string,
    turnId: string,
    by: Actor,
  ): Promise<{ readonly turnId: string; readonly status: TurnStatus }> {
    const error = turnCancelled(CANCELLED);
    const withdrawing = this.queue.withdraw(sessionId, turnId, error, 'connected', by);
    if ((await within(withdrawing, CANCEL_MS)) === 'late') throw notReadable();
    const state = await this.reads.state(sessionId);
    // It may have started meanwhile.
    return state.phase === 'open' && state.turn?.turnId === turnId
      ? this.cancel(sessionId, state, turnId, by)
      : { turnId, status: await this.fate(sessionId, turnId) };
  }

  private begin(target: StoppableRun, session: OpenSession, by: Actor): Promise<TurnStatus> {
    const { turnId } = target;
    const stopping = this.claims.inUse
      .whileStopping(turnId, () => this.stop(target, session, by))
      .finally(() => this.stopping.delete(turnId));
    this.stopping.set(turnId, stopping);
    return stopping;
  }

  private async stop(target: StoppableRun, state: OpenSession, by: Actor): Promise<TurnStatus> {
    const { sessionId, turnId, runner } = target;
    const epoch = await this.claims.seize(sessionId, turnId, this.identity.address);
    // Another turn has the session: this one has ended.
    if (epoch === null) return this.fate(sessionId, turnId);
    const stopped = await this.stops.stop(target);
    const cancelled = await this.events.cancel(
      { sessionId, turnId, epoch, state, by },
      turnCancelled(CANCELLED),
      stopped,
    );
    const head = headOf(cancelled);
    const answeredBy = stopped.caller === 'connected' ? runner.incarnation : null;
    await this.releases.release({ sessionId, turnId, epoch, head, answeredBy });
    if (head !== null) {
      await this.freshness.reached(this.freshness.positionOf(sessionId, head), FOLD_MS);
    }
    return this.fate(sessionId, turnId);
  }

  private async fate(sessionId: string, turnId: string): Promise<TurnStatus> {
    const turn = await this.reads.attempt(sessionId, turnId);
    if (turn !== null && hasEnded(turn.status)) return turn.status;
    throw notReadable();
  }

  private async notRunning(sessionId: string, turnId: string | null): Promise<SbpError> {
    const turn = turnId === null ? null : await this.reads.attempt(sessionId, turnId);
    const problem =
      turnId === null
        ? 'No turn of the session runs.'
        : turn === null
          ? `turn_id: the session has no turn ${turnId}.`
          : `turn_id: the turn has ended already: it is ${turn.status}.`;
    return new SbpError(
      'SBP_SESSION_CONFLICT',
      problem,
      turnId === null ? {} : { param: 'turn_id' },
    );
  }
}

function notReadable(): SbpError {
  return new SbpError(
    'SBP_UPSTREAM_UNAVAILABLE',
    'What has become of the turn is not readable yet. Read the turn, or cancel it again.',
    { retryAfter: 1 },
  );
}
