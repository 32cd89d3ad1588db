import type { OpenSession, SessionState, TurnRequest } from '#libs/domain';
import type { Actor, Message } from '#libs/protocol';
import { SYSTEM } from '#libs/session-log';
import type { Transcript, TurnRecord } from '#libs/store';
import type { ClaimedTurn } from '../claim/turn-claimer.js';
import type { TrackedRequest } from '../http/tracked-request.js';

/** What the model is sent: system messages, what is kept of the transcript, what is new. */
export interface Prompt {
  readonly system: readonly Message[];
  readonly transcript: Transcript;
  /** How many messages of the transcript come first. */
  readonly keeps: number;
  readonly messages: readonly Message[];
}

/** One attempt at a turn, for which this process holds the claim at `epoch`. */
export interface TurnAttempt {
  readonly sessionId: string;
  readonly turnId: string;
  readonly epoch: number;
  /** Who causes its events. */
  readonly by: Actor;
  /**
   * The session as folded when the claim was won; of an adopted turn, with that turn open.
   */
  readonly state: SessionState;
  readonly opener: { readonly principal: string; readonly agentId: string };
  readonly request: TurnRequest;
  readonly prompt: Prompt;
  /** Whether the log has the turn's start already: an adopter goes on with it. */
  readonly adopted: boolean;
}

/** The first attempt at what a request asks for. */
export function firstAttempt(claimed: ClaimedTurn, request: TrackedRequest): TurnAttempt {
  const { sessionId, turnId, epoch, state, system, transcript, update } = claimed;
  return {
    sessionId,
    turnId,
    epoch,
    by: request.by,
    state,
    opener: { principal: request.credential.principal, agentId: request.agentId },
    request: {
      update,
      model: request.completion.model,
      options: request.options,
      checkpointEvery: request.checkpointEvery,
      bodyHash: request.bodyHash,
      idempotencyKey: null,
    },
    prompt: {
      system: update.system ?? system,
      transcript,
      keeps: update.keeps,
      messages: update.messages,
    },
    adopted: false,
  };
}

/** The next attempt at a turn whose runner died, from what is stored of it. */
export function nextAttempt(
  sessionId: string,
  session: OpenSession,
  turn: TurnRecord,
  stored: { readonly system: readonly Message[]; readonly transcript: Transcript },
): TurnAttempt {
  const { turnId, epoch, model, options, checkpointEvery, messages, firstIndex } = turn;
  return {
    sessionId,
    turnId,
    epoch,
    by: SYSTEM,
    state: session,
    opener: session,
    request: {
      update: { keeps: firstIndex, keptBytes: 0, messages, system: null },
      model,
      options,
      checkpointEvery,
      bodyHash: null,
      idempotencyKey: null,
    },
    // The stored transcript ends with the turn's own messages.
    prompt: { ...stored, keeps: stored.transcript.count, messages: [] },
    adopted: true,
  };
}
