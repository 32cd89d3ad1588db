import { SessionTokens } from '#libs/auth';
import type { CallEnd, SessionState } from '#libs/domain';
import { initialState } from '#libs/domain';
import { LogOverloaded } from '#libs/event-log';
import type { Actor, LogEventOf, SurfaceContext } from '#libs/protocol';
import { isUuid } from '#libs/protocol';
import { SessionLog } from '#libs/session-log';
import { Freshness, ProcessIdentity, SessionReads } from '#libs/store';
import { Injectable, Logger } from '@nestjs/common';
import { SurfaceTimings } from '../surface-timings.js';
import { REFUSED_RESULT } from './call-end.js';

/** The session, where it may be attached to. */
export type Admission = SessionState | 'not-found' | 'forbidden';

export type DetachReason = LogEventOf<'surface.detached'>['data']['reason'];

/** One attachment of one session. */
export interface AttachmentId {
  readonly sessionId: string;
  readonly attachId: string;
  /** Who attached, as the log keeps it. */
  readonly by: Actor;
}

export type AttachOutcome =
  | 'attached'
  /** Surfaces fight for the session, or the log has no room: nothing was appended. */
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
    private readonly sessionLog: SessionLog,
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
    if (verdict?.type !== 'valid' || verdict.sessionId !== sessionId) return 'forbidden';
    const state = await this.sessions.state(sessionId);
    const isRevoked = state.phase === 'open' && verdict.generation < state.tokenGeneration;
    return isRevoked ? 'forbidden' : state;
  }

  /**
   * Appends an attach and waits until it is folded, the latter for `timings.attach` at most. What
   * is appended for the session after it stands behind it in the log, also while this waits: an
   * attach that nobody waits for any more is taken back by `detach`.
   */
  async attach(
    { sessionId, attachId, by }: AttachmentId,
    context: SurfaceContext,
    state: SessionState,
  ): Promise<AttachOutcome> {
    const gateway = this.identity.address;
    try {
      const executed = await this.sessionLog.execute({
        sessionId,
        state,
        by,
        command: { type: 'AttachSurface', attachId, gateway, context },
      });
      if (executed.type === 'refused') return 'overloaded';
      const isFolded =
        executed.type === 'appended' &&
        (await this.freshness.reached(executed.position, this.timings.attach));
      return isFolded ? 'attached' : 'unknown';
    } catch (error) {
      if (error instanceof LogOverloaded) return 'overloaded';
      this.logger.error(`attach to session ${sessionId}: ${String(error)}`);
      return 'unknown';
    }
  }

  /** Losing an acknowledgement is harmless, because the turns come again [A9]. */
  acknowledge({ sessionId, attachId, by }: AttachmentId, seq: number): void {
    const command = { type: 'AcknowledgeTurns', attachId, seq } as const;
    // Only the fold knows which attachment is the current one: these events do not depend on the
    // state here.
    this.sessionLog
      .execute({ sessionId, state: initialState, by, command })
      .catch((error: unknown) => {
        this.logger.warn(
          `acknowledgement of turn ${seq} of session ${sessionId} not appended: ${String(error)}`,
        );
      });
  }

  /**
   * What a surface has made of a call. If this process dies before the log has it, the call is
   * cancelled with the attachment.
   */
  returned(id: AttachmentId, callId: string, end: CallEnd): void {
    this.returnTool(id, callId, end).catch((error: unknown) => {
      this.logger.error(
        `the outcome of call ${callId} of session ${id.sessionId} not appended: ${String(error)}`,
      );
    });
  }

  /**
   * Resolves when the log has acknowledged that the surface left, after everything said of it
   * before. While the log is overloaded it is tried again; if this process dies first, the sessions
   * service says it in its place.
   */
  async detach({ sessionId, attachId, by }: AttachmentId, reason: DetachReason): Promise<void> {
    const command = { type: 'DetachSurface', attachId, reason } as const;
    try {
      await this.sessionLog.insist({ sessionId, state: initialState, by, command });
    } catch (error) {
      this.logger.error(`detach of session ${sessionId} not appended: ${String(error)}`);
    }
  }

  private async returnTool(
    { sessionId, by }: AttachmentId,
    callId: string,
    end: CallEnd,
  ): Promise<void> {
    const command = { type: 'ReturnTool', callId, end } as const;
    const execution = { sessionId, state: initialState, by, command };
    const executed = await this.sessionLog.insist(execution);
    if (executed.type === 'rejected') {
      await this.sessionLog.insist({ ...execution, command: { ...command, end: REFUSED_RESULT } });
    }
  }

  async renewToken(sessionId: string, generation: number): Promise<string> {
    return (await this.tokens.issue(sessionId, generation)).token;
  }
}
