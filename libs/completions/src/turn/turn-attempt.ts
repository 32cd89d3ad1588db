import type { SessionState, TurnRequest } from '#libs/domain';
import type { Message } from '#libs/protocol';

/** One attempt at a turn, for which this process holds the claim at `epoch`. */
export interface TurnAttempt {
  readonly sessionId: string;
  readonly turnId: string;
  readonly epoch: number;
  /** The session as folded when the claim was won; of an adopted turn, with that turn open. */
  readonly state: SessionState;
  readonly opener: { readonly principal: string; readonly agentId: string };
  readonly request: TurnRequest;
  /** What the model is sent: system messages, what is kept of the transcript, what is new. */
  readonly messages: readonly Message[];
  /** Whether the log has the turn's start already: an adopter goes on with it. */
  readonly adopted: boolean;
}
