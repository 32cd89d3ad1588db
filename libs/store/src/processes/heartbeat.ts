import { PeriodicTask } from '#libs/timing';
import type { Claims } from '../claims/claims.js';
import type { UnconfirmedAnswers } from '../claims/unconfirmed-answers.js';
import type { ProcessIdentity } from './process-identity.js';
import type { HeldClaim, Processes } from './processes.js';
import { HEARTBEAT_MS } from './processes.js';

export interface HeartbeatEvents {
  /** The slot belongs to another process now: this one must end. */
  readonly onRefused: () => void;
  /** The database did not answer; the next beat comes all the same. */
  readonly onFailed: (error: unknown) => void;
}

/** `askedAt`: when the database was asked, in ms of a clock that only rises. */
type HeldListener = (held: readonly HeldClaim[], askedAt: number) => void;

/**
 * Shows the others, once a second, that this process lives [A6]. With each beat it learns which
 * claims this process holds: it tells its listeners, and lets go of those that nothing here looks
 * after.
 */
export class Heartbeat {
  private readonly listeners = new Set<HeldListener>();
  private readonly task: PeriodicTask;

  constructor(
    private readonly processes: Processes,
    private readonly claims: Claims,
    private readonly answers: UnconfirmedAnswers,
    private readonly identity: ProcessIdentity,
    private readonly events: HeartbeatEvents,
  ) {
    this.task = new PeriodicTask({
      everyMs: HEARTBEAT_MS,
      work: () => this.beat(),
      onFault: (error) => events.onFailed(error),
    });
  }

  start(): void {
    this.task.start();
  }

  /**
   * Ends the heartbeat and says so, so that others take over at once what this process still holds.
   */
  async leave(): Promise<void> {
    await this.task.stop();
    try {
      await this.answers.flush();
      await this.processes.leave(this.identity.address);
    } catch (error) {
      // The others find out a few seconds later, because the beat does not rise any more.
      this.events.onFailed(error);
    }
  }

  /** Told, after each beat, of the claims that the database says this process holds. */
  onHeld(listener: HeldListener): void {
    this.listeners.add(listener);
  }

  private async beat(): Promise<void> {
    const askedAt = performance.now();
    const heartbeat = await this.processes.heartbeat(this.identity.address);
    if (heartbeat.type === 'refused') {
      this.events.onRefused();
      return;
    }
    for (const listener of this.listeners) listener(heartbeat.held, askedAt);
    for (const { sessionId, turnId } of heartbeat.held) {
      if (!this.claims.inUse.has(turnId)) await this.claims.abandon(sessionId, turnId);
    }
    await this.answers.flush();
  }
}
