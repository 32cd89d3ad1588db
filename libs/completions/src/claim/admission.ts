import { randomUUID } from 'node:crypto';
import { LiveCounts } from '#libs/access';
import { EventLog } from '#libs/event-log';
import { SbpError } from '#libs/protocol';
import { Injectable } from '@nestjs/common';
import { CompletionsOptions } from '../completions-options.js';

/** A turn's place among those that this process runs at once. */
export interface Place {
  /** Counts bytes that the turn turned out to hold. @throws SbpError SBP_RATE_LIMITED */
  grow(bytes: number): void;
  leave(): void;
}

/** Ids tried for a new session, so that it is not in a partition that is down. */
const MAX_TRIES = 50;

/** After how long a caller that was turned away may come back, in s. */
const RETRY_AFTER_S = 1;

/**
 * Lets in what this process can carry: turns and bytes at once are bounded, and while the log is
 * known to be down nothing is begun, so that no model is called for a turn that cannot be recorded.
 */
@Injectable()
export class Admission {
  private turns = 0;
  private bytes = 0;
  private readonly byPrincipal = new LiveCounts();
  private isClosed = false;
  private left = Promise.withResolvers<undefined>();

  constructor(
    private readonly log: EventLog,
    private readonly options: CompletionsOptions,
  ) {}

  /** @throws SbpError SBP_UPSTREAM_UNAVAILABLE while this process ends, SBP_RATE_LIMITED */
  enter(principal: string, bytes: number): Place {
    this.mustBeOpen();
    const { maxTurns, maxPrincipalTurns } = this.options;
    if (maxPrincipalTurns !== null && this.byPrincipal.of(principal) >= maxPrincipalTurns) {
      throw full(`${principal} has ${maxPrincipalTurns} turns here at once.`);
    }
    if (this.turns >= maxTurns) throw full(`${maxTurns} turns are running here already.`);
    let held = 0;
    const grow = (more: number): void => {
      this.mustFit(held, more);
      held += more;
      this.bytes += more;
    };
    grow(bytes);
    this.turns += 1;
    this.byPrincipal.enter(principal);
    return {
      grow,
      leave: () => {
        this.turns -= 1;
        this.byPrincipal.leave(principal);
        this.bytes -= held;
        this.left.resolve(undefined);
        this.left = Promise.withResolvers();
      },
    };
  }

  /** From now on nothing is begun. */
  close(): void {
    this.isClosed = true;
  }

  /** Resolves when no turn has a place here any more: each has been answered. */
  async emptied(): Promise<void> {
    while (this.turns > 0) await this.left.promise;
  }

  /** @throws SbpError SBP_UPSTREAM_UNAVAILABLE while this process ends */
  mustBeOpen(): void {
    if (this.isClosed) throw this.closing();
  }

  /** What a caller is told for whom nothing was begun, because this process ends. */
  closing(): SbpError {
    return new SbpError('SBP_UPSTREAM_UNAVAILABLE', 'The server is shutting down.', {
      retryAfter: RETRY_AFTER_S,
      draining: true,
    });
  }

  /**
   * @throws SbpError SBP_UPSTREAM_UNAVAILABLE while the log is known to take nothing of a session
   */
  mustBeWritable(sessionId: string): void {
    if (this.log.outageOf(sessionId) === null) return;
    throw new SbpError('SBP_UPSTREAM_UNAVAILABLE', 'The log does not answer. Try later.', {
      retryAfter: RETRY_AFTER_S,
    });
  }

  /** A new session, where the log is not known to take nothing. @throws as `mustBeWritable` */
  newSession(): string {
    for (let tries = 1; ; tries += 1) {
      const sessionId = randomUUID();
      if (this.log.outageOf(sessionId) === null) return sessionId;
      if (tries === MAX_TRIES) this.mustBeWritable(sessionId);
    }
  }

  /** `held`: by the turn that is to hold `more`. */
  private mustFit(held: number, more: number): void {
    // The only turn is let in whatever it holds, because it would be turned away for ever.
    if (this.bytes > held && this.bytes + more > this.options.maxBytes) {
      throw full('The turns that run here hold as many bytes as they may.');
    }
  }
}

function full(problem: string): SbpError {
  return new SbpError('SBP_RATE_LIMITED', `${problem} Try later.`, { retryAfter: RETRY_AFTER_S });
}
