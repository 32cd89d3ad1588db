import { randomUUID } from 'node:crypto';
import { SessionTokens } from '#libs/auth';
import type { OpenSession } from '#libs/domain';
import { headOfSession, isFinished } from '#libs/domain';
import type { Actor, HandoffRequest, HandoffResponse } from '#libs/protocol';
import { SbpError } from '#libs/protocol';
import { Maintenance } from '#libs/session-log';
import { ProcessIdentity, Promises } from '#libs/store';
import { Injectable } from '@nestjs/common';
import type { NewSession } from '../opening/derived-ids.js';
import { mustBeSameBody } from '../opening/derived-ids.js';
import { PromiseKeeper } from '../opening/promise-keeper.js';

export interface HandingOff {
  readonly sessionId: string;
  readonly session: OpenSession;
  readonly request: HandoffRequest;
  readonly target: NewSession;
  readonly by: Actor;
}

/**
 * Hands a session over to another agent: one event in its log suspends it and names the session
 * that it goes on as, which is then opened, by this process or another [A17].
 */
@Injectable()
export class Handoffs {
  constructor(
    private readonly maintenance: Maintenance,
    private readonly promises: Promises,
    private readonly keeper: PromiseKeeper,
    private readonly identity: ProcessIdentity,
    private readonly tokens: SessionTokens,
  ) {}

  /**
   * @throws SbpError SBP_SESSION_CONFLICT where the session has finished, or a turn is still in
   *   flight after 30 s; SBP_INVALID_REQUEST where its `Idempotency-Key` was used for another
   *   request
   */
  async handOff(handing: HandingOff): Promise<HandoffResponse> {
    const { sessionId, target } = handing;
    const known = target.bodyHash === null ? null : await this.promises.find(target.sessionId);
    if (known === null) await this.commit(handing);
    else mustBeSameBody(target.bodyHash, known.data.body_hash);
    const promise = known ?? (await this.promises.find(target.sessionId));
    if (promise?.type !== 'handoff') throw new Error(`handoff of ${sessionId} is not promised`);
    const opened = await this.keeper.keep(promise);
    const { token } = await this.tokens.issue(target.sessionId, opened.tokenGeneration);
    const { export_id: exportId, agent_id: agentId } = promise.data;
    return {
      source_session_id: sessionId,
      from_session_id: sessionId,
      new_session_id: target.sessionId,
      new_session_token: token,
      session_token: token,
      to_agent_id: agentId,
      export_id: exportId,
      origin_export_id: exportId,
    };
  }

  private async commit({ sessionId, session, request, target, by }: HandingOff): Promise<void> {
    const { to_agent_id: agentId, handoff_message: message, reason } = request;
    const openedEpoch = await this.promises.nextEpoch(session.principal, agentId);
    const exportId = randomUUID();
    await this.maintenance.perform({
      sessionId,
      by,
      command: ({ epoch, state }) => {
        if (isFinished(state)) throw hasFinished();
        return {
          type: 'HandOff',
          epoch,
          handedOff: {
            ...{ successor: target.sessionId, opened_epoch: openedEpoch, agent_id: agentId },
            ...{ body_hash: target.bodyHash, export_id: exportId },
            base: headOfSession(sessionId, state),
            maker: this.identity.address,
          },
          message: message ?? null,
          reason: reason ?? null,
        };
      },
      isDone: ({ life }) =>
        life.type === 'suspended' &&
        life.reason === 'handoff' &&
        life.successor === target.sessionId,
    });
  }
}

function hasFinished(): SbpError {
  return new SbpError(
    'SBP_SESSION_CONFLICT',
    'The session has completed or failed, so it cannot be handed over. Fork it.',
  );
}
