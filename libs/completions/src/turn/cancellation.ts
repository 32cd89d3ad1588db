import type { OpenSession } from '#libs/domain';
import type { MailboxMessage } from '#libs/mailbox';
import { Mailbox } from '#libs/mailbox';
import type { Actor, ProcessAddress, TurnStatus } from '#libs/protocol';
import { SbpError } from '#libs/protocol';
import { Claims, Freshness, ProcessIdentity, SessionReads } from '#libs/store';
import { within } from '#libs/timing';
import { Injectable } from '@nestjs/common';
import { SessionReleases } from '../claim/session-releases.js';
import type { StoppedRun } from './running-turns.js';
import { RunningTurns } from './running-turns.js';
import { TurnEvents, headOf, turnCancelled } from './turn-events.js';

/** How long a runner may take to say what it had, in ms; it may be dead. */
const REPLY_MS = 1_000;
/** How long the fold may take to show what became of the turn, in ms. */
const FOLD_MS = 15_000;

/** A turn that is to be stopped. */
interface Target {
  readonly sessionId: string;
  readonly turnId: string;
  /** Who runs it, as folded. */
  readonly runner: ProcessAddress;
}

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
  /** Who waits for the word of a runner, by the turn. */
  private readonly waiting = new Map<string, (stopped: StoppedRun) => void>();

  constructor(
    private readonly claims: Claims,
    private readonly releases: SessionReleases,
    private readonly events: TurnEvents,
    private readonly running: RunningTurns,
    private readonly mailbox: Mailbox,
    private readonly identity: ProcessIdentity,
    private readonly freshness: Freshness,
    private readonly reads: SessionReads,
  ) {}

  /**
   * What became of the turn; of the running one if none is named.
   * @throws SbpError SBP_SESSION_CONFLICT where it does not run; SBP_UPSTREAM_UNAVAILABLE where
   *   what became of it cannot be said yet
   */
  async cancel(
    sessionId: string,
    session: OpenSession,
    turnId: string | null,
    by: Actor,
  ): Promise<{ readonly turnId: string; readonly status: TurnStatus }> {
    const { turn } = session;
    if (turn === null || (turnId !== null && turn.turnId !== turnId)) {
      throw await this.notRunning(sessionId, turnId);
    }
    const target = { sessionId, turnId: turn.turnId, runner: turn.runner };
    const stopping = this.stopping.get(target.turnId) ?? this.begin(target, session, by);
    return { turnId: target.turnId, status: await stopping };
  }

  private begin(target: Target, session: OpenSession, by: Actor): Promise<TurnStatus> {
    const { turnId } = target;
    const stopping = this.claims.inUse
      .whileStopping(turnId, () => this.stop(target, session, by))
      .finally(() => this.stopping.delete(turnId));
    this.stopping.set(turnId, stopping);
    return stopping;
  }

  /** A message of this process' mailbox; those of other kinds are somebody else's. */
  accept(message: MailboxMessage): void {
    if (message.type === 'stopped') {
      this.waiting.get(message.turn_id)?.(message);
      return;
    }
    if (message.type !== 'stop') return;
    const stopped = this.running.stop(message.turn_id);
    if (stopped === null) return;
    const { session_id, turn_id, reply_to: replyTo } = message;
    void this.mailbox.send(replyTo, { type: 'stopped', session_id, turn_id, ...stopped });
  }

  private async stop(target: Target, state: OpenSession, by: Actor): Promise<TurnStatus> {
    const { sessionId, turnId, runner } = target;
    const epoch = await this.claims.seize(sessionId, turnId, this.identity.address);
    // Another turn has the session: this one has ended.
    if (epoch === null) return this.fate(sessionId, turnId);
    const stopped = await this.stopRunner(target);
    const message = 'The turn was cancelled.';
    const cancelled = await this.events.cancel(
      { sessionId, turnId, epoch, state, by },
      turnCancelled(message),
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

  /** The runner has ended its call of the model, or does not answer. */
  private async stopRunner({ sessionId, turnId, runner }: Target): Promise<StoppedRun> {
    const here = this.running.stop(turnId);
    if (here !== null) return here;
    const reply = Promise.withResolvers<StoppedRun>();
    this.waiting.set(turnId, reply.resolve);
    void this.mailbox.send(runner, {
      type: 'stop',
      session_id: sessionId,
      turn_id: turnId,
      reply_to: this.identity.address,
    });
    const stopped = await within(reply.promise, REPLY_MS);
    this.waiting.delete(turnId);
    return stopped === 'late' ? { caller: 'gone', usage: null } : stopped;
  }

  private async fate(sessionId: string, turnId: string): Promise<TurnStatus> {
    const turn = await this.reads.attempt(sessionId, turnId);
    if (turn !== null && turn.status !== 'open') return turn.status;
    throw new SbpError(
      'SBP_UPSTREAM_UNAVAILABLE',
      'What has become of the turn is not readable yet. Read the turn, or cancel it again.',
      { retryAfter: 1 },
    );
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
