import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { SessionTokens } from '#libs/auth';
import type { Command, Decision } from '#libs/domain';
import { decide, initialState } from '#libs/domain';
import { EventLog, LogOverloaded } from '#libs/event-log';
import type { LogEventOf, SurfaceContext } from '#libs/protocol';
import { isUuid } from '#libs/protocol';
import { Freshness, ProcessIdentity, SessionReads } from '#libs/store';
import { Injectable, Logger } from '@nestjs/common';
import { within } from '../deadline.js';
import { SurfaceTimings } from '../surface-timings.js';

export type Admission = 'admitted' | 'not-found' | 'forbidden';

export type DetachReason = LogEventOf<'surface.detached'>['data']['reason'];

/** One attachment of one session. */
export interface AttachmentId {
  readonly sessionId: string;
  readonly attachId: string;
}

export type AttachOutcome =
  | {
      readonly type: 'attached';
      /**
       * The last turn that was acknowledged when the attach was decided; it may have risen since.
       */
      readonly cursor: number;
    }
  /**
   * Surfaces fight for the session, or the log or the projection is behind: return later. Nothing
   * stays attached.
   */
  | { readonly type: 'overloaded' };

/** States the facts about surfaces: who may attach, attached, read, and left. */
@Injectable()
export class SurfaceFacts {
  private readonly logger = new Logger('SurfaceFacts');

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

  /** Appends the attach and waits until it is folded. If that takes too long it is taken back. */
  async attach(id: AttachmentId, context: SurfaceContext): Promise<AttachOutcome> {
    const state = await this.sessions.state(id.sessionId);
    const decision = decide(
      { ...this.issued(id), type: 'AttachSurface', gateway: this.identity.address, context },
      state,
    );
    if (decision.type === 'refused' || !(await this.appendAndFold(id, decision)))
      return { type: 'overloaded' };
    return { type: 'attached', cursor: state.phase === 'open' ? state.cursor : 0 };
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
      await delay(this.timings.retry, undefined, { ref: false });
    }
  }

  async renewToken(sessionId: string): Promise<string> {
    return (await this.tokens.issue(sessionId)).token;
  }

  private async appendAndFold(
    id: AttachmentId,
    { events }: Extract<Decision, { type: 'events' }>,
  ): Promise<boolean> {
    let folded = false;
    try {
      const appended = await within(this.log.append(events), this.timings.attach);
      folded =
        appended !== 'late' &&
        appended.type === 'appended' &&
        (await this.freshness.reached(appended.position, this.timings.attach));
    } catch (error) {
      if (error instanceof LogOverloaded) return false;
      this.logger.error(`attach to session ${id.sessionId}: ${String(error)}`);
    }
    // Appends of one session are first in, first out: if the attach is ever acknowledged, this
    // comes after it.
    if (!folded) void this.detach(id, 'refused');
    return folded;
  }

  private decide(command: Extract<Command, { type: 'AcknowledgeTurns' | 'DetachSurface' }>) {
    // Which attachment is the current one only the fold knows: these facts do not depend on the
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
