import { SessionTokens } from '#libs/auth';
import type { OpenSession } from '#libs/domain';
import { headOfSession, placeAfter } from '#libs/domain';
import type { Actor, ForkRequest, ForkResponse, SessionBase } from '#libs/protocol';
import { SbpError } from '#libs/protocol';
import { SessionReleases } from '#libs/session-log';
import { Lineage, SessionReads, Snapshots, TurnEnds } from '#libs/store';
import { Injectable } from '@nestjs/common';
import type { NewSession } from '../opening/derived-ids.js';
import { mustBeSameBody } from '../opening/derived-ids.js';
import { SessionOpener } from '../opening/session-opener.js';

/** How long a fork of the head waits for a turn in flight, in ms. */
const TURN_MS = 30_000;
/** How often it looks meanwhile, in ms. */
const RETRY_MS = 50;

export interface Forking {
  readonly sessionId: string;
  readonly session: OpenSession;
  readonly request: ForkRequest;
  readonly target: NewSession;
  readonly by: Actor;
}

/**
 * Forks sessions: one event in the log of the new one, which refers to a place in the other [A16].
 * Nobody else knows the new session's id, so that needs no claim.
 */
@Injectable()
export class Forks {
  constructor(
    private readonly reads: SessionReads,
    private readonly turns: TurnEnds,
    private readonly snapshots: Snapshots,
    private readonly lineage: Lineage,
    private readonly opener: SessionOpener,
    private readonly releases: SessionReleases,
    private readonly tokens: SessionTokens,
  ) {}

  /**
   * @throws SbpError SBP_SESSION_CONFLICT where a turn is still in flight after 30 s;
   *   SBP_INVALID_REQUEST for a place that is none; SBP_SESSION_NOT_FOUND for such a snapshot
   */
  async fork(forking: Forking): Promise<ForkResponse> {
    const { sessionId, session, request, target, by } = forking;
    const known = target.bodyHash === null ? null : await this.lineage.of(target.sessionId);
    if (known === null) {
      const base = await this.place(forking);
      await this.opener.open({
        ...{ sessionId: target.sessionId, by, beginning: { type: 'base', base } },
        ...{ principal: session.principal, agentId: session.agentId },
        // Nobody else writes to it before it is there.
        epoch: 1,
        origin: {
          ...{ type: 'fork', session_id: sessionId, export_id: null, server: null },
          ...{ agent_id: session.agentId, body_hash: target.bodyHash, message_count: null },
        },
        label: request.label ?? null,
        ...{ note: null, memory: null, stateSnapshot: null, beganAt: null },
      });
    }
    return this.answer(sessionId, target);
  }

  private async answer(
    sessionId: string,
    { sessionId: forkId, bodyHash }: NewSession,
  ): Promise<ForkResponse> {
    const fork = await this.lineage.of(forkId);
    if (fork === null) throw new Error(`session ${forkId} is no fork`);
    // Also one that was just made: an earlier request may have come first after all.
    mustBeSameBody(bodyHash, fork.origin.body_hash);
    const state = await this.reads.open(forkId);
    const { token } = await this.tokens.issue(forkId, state.tokenGeneration);
    return {
      fork_session_id: forkId,
      fork_session_token: token,
      session_token: token,
      fork_label: fork.label,
      origin_session_id: sessionId,
      fork_point_step: fork.steps,
      fork_point_msg: fork.messages,
    };
  }

  private async place({ sessionId, session, request }: Forking): Promise<SessionBase> {
    const { at_step: step, at_snapshot: snapshot } = request;
    if (step != null) return this.atStep(sessionId, session, step);
    if (snapshot != null) return this.atSnapshot(sessionId, session, snapshot.toLowerCase());
    return headOfSession(sessionId, await this.idle(sessionId));
  }

  /** The session once no turn is in flight. */
  private async idle(sessionId: string): Promise<OpenSession> {
    const deadline = performance.now() + TURN_MS;
    for (;;) {
      const state = await this.reads.open(sessionId);
      if (state.turn === null) return state;
      if (performance.now() > deadline) break;
      await this.releases.wait(sessionId, RETRY_MS);
    }
    throw new SbpError(
      'SBP_SESSION_CONFLICT',
      'A turn of the session is still in flight after 30 s. Fork it at a step, or cancel the turn.',
    );
  }

  /** After so many completed turns, which may be a base's. */
  private async atStep(
    sessionId: string,
    session: OpenSession,
    step: number,
    last = session.turns,
  ): Promise<SessionBase> {
    const end = step === 0 ? null : await this.turns.atStep(sessionId, step, last);
    if (end !== null) return placeAfter(sessionId, session, end);
    const { base } = session;
    if (base !== null && step === base.step_count) return base;
    if (base !== null && step < base.step_count) {
      const behind = await this.reads.lastState(base.session_id);
      if (behind.phase === 'open') {
        return this.atStep(base.session_id, behind, step, base.turn_number);
      }
    }
    if (step === 0 && base === null) return placeAfter(sessionId, session, BEGINNING);
    const known = `it has ${session.steps}, and those of an import have no places of their own`;
    const message = `at_step: the session has no place after ${step} completed turns: ${known}.`;
    throw new SbpError('SBP_INVALID_REQUEST', message, { param: 'at_step' });
  }

  /** A place between the calls of a turn counts in a turn that has completed. */
  private async atSnapshot(
    sessionId: string,
    session: OpenSession,
    snapshotId: string,
  ): Promise<SessionBase> {
    const place = await this.snapshots.place(sessionId, snapshotId);
    if (place === null) {
      const message = `The session has no snapshot with ID ${snapshotId}.`;
      throw new SbpError('SBP_SESSION_NOT_FOUND', message, { param: 'at_snapshot' });
    }
    const end = await this.turns.after(sessionId, place.turnNumber);
    if (end === null) {
      const message = 'at_snapshot: its turn has not ended. Fork there when it has.';
      throw new SbpError('SBP_SESSION_CONFLICT', message, { param: 'at_snapshot' });
    }
    const after = placeAfter(sessionId, session, end);
    if (place.kind === 'checkpoint') return after;
    const { entries, steps } = await this.snapshots.at(sessionId, place);
    return { ...after, message_count: entries.length, step_count: steps };
  }
}

/** Before the first turn of a session that begins itself. */
const BEGINNING = { number: 0, messages: 0, bytes: 0, steps: 0, costUsd: 0, systemTurn: 0 };
