import { randomUUID } from 'node:crypto';
import { SessionTokens } from '#libs/auth';
import type { Command, Decision } from '#libs/domain';
import { decide, initialState } from '#libs/domain';
import { EventLog, LogOverloaded } from '#libs/event-log';
import type { LogEventOf, SurfaceContext } from '#libs/protocol';
import { isUuid } from '#libs/protocol';
import { Freshness, ProcessIdentity, SessionReads } from '#libs/store';
import { pause } from '#libs/timing';
import { Injectable, Logger } from '@nestjs/common';
import { SurfaceTimings } from '../surface-timings.js';

export type Admission = 'admitted' | 'not-found' | 'forbidden';

export type DetachReason = LogEventOf<'surface.detached'>['data']['reason'];

/** One attachment of one session. */
export interface AttachmentId {
  readonly sessionId: string;
  readonly attachId: string;
}

/** An attach that may be appended. */
export interface DecidedAttach {
  readonly id: AttachmentId;
  readonly events: Extract<Decision, { type: 'events' }>['events'];
  /** The last turn that was acknowledged when it was decided; it may have risen since. */
  readonly cursor: number;
}

export type AttachOutcome =
  | 'attached'
  /** The log has no room: nothing was appended. */
  | 'overloaded'
  /** It was appended, or may have been, and is not folded: it must be taken back by a detach. */
  | 'unknown';

/**
 * Appends the events of surfaces to the log: that one attached, has read, left. Before an attach it
 * says who may.
 */
@Injectable()
export class SurfaceEvents {
  private readonly logger = new Logger('SurfaceEvents');

  constructor(
    private readonly log: EventLog,
    private readonly freshness: Freshness,
    private readonly sessions: SessionReads,
    private readonly tokens: SessionTokens,
    private readonly identity: ProcessIdentity,
    private readonly timings: SurfaceTimings,
  ) {}

  /** @throws SbpError SBP_UPSTREAM_UNAVAILABLE while the session is not readable */
  async admit(sessionId: string, token: string | null): Promise<Admission> {
    // What is no UUID names no session, and need not be looked for.
    if (!isUuid(sessionId) || (await this.freshness.presence(sessionId)) === 'absent')
      return 'not-found';
    const verdict = token === null ? null : await this.tokens.verify(token);
    return verdict?.type === 'valid' && verdict.sessionId === sessionId ? 'admitted' : 'forbidden';
  }

  /** Null where surfaces fight for the session: it must return later. */
  async decideAttach(id: AttachmentId, context: SurfaceContext): Promise<DecidedAttach | null> {
    const state = await this.sessions.state(id.sessionId);
    const decision = decide(
      { ...this.issued(id), type: 'AttachSurface', gateway: this.identity.address, context },
      state,
    );
    if (decision.type === 'refused') return null;
    return { id, events: decision.events, cursor: state.phase === 'open' ? state.cursor : 0 };
  }

  /**
   * Appends an attach and waits until it is folded, the latter for `timings.attach` at most. What
   * is appended for the session after it stands behind it in the log, also while this waits: an
   * attach that nobody waits for any more is taken back by `detach`.
   */
  async attach({ id, events }: DecidedAttach): Promise<AttachOutcome> {
    try {
      const appended = await this.log.append(events);
      const isFolded =
        appended.type === 'appended' &&
        (await this.freshness.reached(appended.position, this.timings.attach));
      return isFolded ? 'attached' : 'unknown';
    } catch (error) {
      if (error instanceof LogOverloaded) return 'overloaded';
      this.logger.error(`attach to session ${id.sessionId}: ${String(error)}`);
      return 'unknown';
    }
  }

  /** Losing an acknowledgement is harmless: the turns come again [A9]. */
  acknowledge(id: AttachmentId, seq: number): void {
    const decision = this.decide({ ...this.issued(id), type: 'AcknowledgeTurns', seq });
    this.log.append(decision.events).catch((error: unknown) => {
      this.logger.warn(
        `acknowledgement of turn ${seq} of session ${id.sessionId} not appended: ${String(error)}`,
      );
    });
  }

  /**
   * Resolves when the log has acknowledged that the surface left, after everything said of it
   * before. While the log is overloaded it is tried again; if this process dies first, the sessions
   * service says it in its place.
   */
  async detach(id: AttachmentId, reason: DetachReason): Promise<void> {
    const decision = this.decide({ ...this.issued(id), type: 'DetachSurface', reason });
    for (;;) {
      try {
        await this.log.append(decision.events);
        return;
      } catch (error) {
        if (!(error instanceof LogOverloaded)) {
          this.logger.error(`detach of session ${id.sessionId} not appended: ${String(error)}`);
          return;
        }
      }
      await pause(this.timings.retry);
    }
  }

  async renewToken(sessionId: string): Promise<string> {
    return (await this.tokens.issue(sessionId)).token;
  }

  private decide(command: Extract<Command, { type: 'AcknowledgeTurns' | 'DetachSurface' }>) {
    // Only the fold knows which attachment is the current one: these events do not depend on the
    // state here.
    const decision = decide(command, initialState);
    if (decision.type === 'refused')
      throw new Error(`${command.type} was refused: ${decision.reason}`);
    return decision;
  }

  private issued({ sessionId, attachId }: AttachmentId) {
    return {
      sessionId,
      attachId,
      by: { principal: null, via: 'surface' as const },
      at: new Date().toISOString(),
      newId: randomUUID,
    };
  }
}
