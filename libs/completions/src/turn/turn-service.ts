import { Injectable } from '@nestjs/common';
import { SessionTokens } from '#libs/auth';
import type { Caller } from '../http/caller.js';
import { SessionResolver } from '../claim/session-resolver.js';
import { TurnClaimer } from '../claim/turn-claimer.js';
import type { ClaimedTurn } from '../claim/turn-claimer.js';
import type { TurnAttempt } from './turn-attempt.js';
import { TurnRunner } from './turn-runner.js';
import { wantsUsage } from '../http/tracked-request.js';
import type { TrackedRequest } from '../http/tracked-request.js';

/** One tracked request from end to end: find its session, claim it, run the turn. */
@Injectable()
export class TurnService {
  constructor(
    private readonly resolver: SessionResolver,
    private readonly claimer: TurnClaimer,
    private readonly runner: TurnRunner,
    private readonly tokens: SessionTokens,
  ) {}

  /**
   * Resolves when the caller was answered. @throws SbpError before anything was begun; the caller
   * is still to be told
   */
  async run(request: TrackedRequest, caller: Caller): Promise<void> {
    const target = await this.resolver.resolve(request);
    const claimed = await this.claimer.claim(target, request, () => caller.connected);
    if (claimed === null) return;
    const { sessionId } = claimed;
    const { token } = await this.tokens.issue(sessionId);
    await this.runner.run(attemptOf(claimed, request), {
      caller,
      session: { sessionId, sessionToken: token },
      showUsage: wantsUsage(request),
    });
  }
}

function attemptOf(claimed: ClaimedTurn, request: TrackedRequest): TurnAttempt {
  const { sessionId, turnId, epoch, state, transcript, update } = claimed;
  const kept = transcript.entries.slice(0, update.keeps).map((entry) => entry.message);
  return {
    sessionId,
    turnId,
    epoch,
    state,
    opener: { principal: request.credential.principal, agentId: request.agentId },
    request: {
      update,
      model: request.completion.model,
      options: request.options,
      checkpointEvery: request.checkpointEvery,
    },
    messages: [...(update.system ?? transcript.system), ...kept, ...update.messages],
    adopted: false,
  };
}
