import type { OpenSession } from '#libs/domain';
import type { Actor } from '#libs/protocol';
import { SbpError } from '#libs/protocol';
import { SessionLog } from '#libs/session-log';
import { ToolReads } from '#libs/store';
import { Injectable } from '@nestjs/common';
import { logSilent } from '../turn/log-refusal.js';

/** What a human has decided about a call. */
export interface CallDecision {
  readonly callId: string;
  readonly approved: boolean;
  /** Why, as the model is told where the call is denied. */
  readonly reason: string | null;
}

/** How long the log, and then the fold, may take for a decision, in ms. */
const LOG_MS = 10_000;

/** Decides about calls that wait for a human: the first decision in the log counts [A18]. */
@Injectable()
export class Approvals {
  constructor(
    private readonly sessionLog: SessionLog,
    private readonly tools: ToolReads,
  ) {}

  /**
   * Resolves when the decision counts.
   * @throws SbpError SBP_SESSION_NOT_FOUND where there is no such call; SBP_SESSION_CONFLICT where
   *   it waits for no decision; SBP_UPSTREAM_UNAVAILABLE where which one counts cannot be said yet
   */
  async decide(
    sessionId: string,
    session: OpenSession,
    { callId, approved, reason }: CallDecision,
    by: Actor,
  ): Promise<void> {
    if (!isUndecided(session, callId)) throw await this.notWaiting(sessionId, callId);
    const command = { type: 'DecideCall', callId, approved, reason } as const;
    const execution = { sessionId, state: session, by, command };
    const decided = await this.sessionLog.executeAndFold(execution, LOG_MS);
    if (decided.type !== 'folded') throw logSilent();
    const call = await this.tools.call(sessionId, callId);
    if (call?.decisionId !== decided.events[0].id) throw await this.notWaiting(sessionId, callId);
  }

  private async notWaiting(sessionId: string, callId: string): Promise<SbpError> {
    const param = 'call_id';
    if ((await this.tools.call(sessionId, callId)) === null) {
      const problem = `call_id: the session has no call ${callId}.`;
      return new SbpError('SBP_SESSION_NOT_FOUND', problem, { param });
    }
    const why = 'it needed none, was decided already, or is over.';
    const problem = `call_id: the call ${callId} waits for no approval: ${why}`;
    return new SbpError('SBP_SESSION_CONFLICT', problem, { param });
  }
}

function isUndecided({ calls }: OpenSession, callId: string): boolean {
  return calls.some((call) => call.callId === callId && call.place.type === 'approval');
}
