import type {
  AskedTurn,
  OpenSession,
  Opener,
  SessionState,
  TurnEntry,
  TurnRequest,
} from '#libs/domain';
import type { Actor, Message } from '#libs/protocol';
import { SYSTEM } from '#libs/session-log';
import type { StoredRound, Transcript, TurnRecord } from '#libs/store';
import type { ClaimedTurn } from '../claim/turn-claimer.js';

/** What the model is sent: system messages, what is kept of the transcript, what is new. */
export interface Prompt {
  readonly system: readonly Message[];
  readonly transcript: Transcript;
  /** How many messages of the transcript come first. */
  readonly keeps: number;
  readonly messages: readonly Message[];
  /** Whether the turn's own messages are the last ones of the transcript. */
  readonly isStored: boolean;
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
  /** How it comes to start. */
  readonly entry: TurnEntry;
  /**
   * When its request came to this process, on a clock that only rises; null for what it found.
   */
  readonly askedAt: number | null;
  /**
   * Whether nobody may be told anything before its start is folded as open: it may have been
   * withdrawn while it waited, or its caller knows it by its id alone [A14].
   */
  readonly isConfirmed: boolean;
  /** Whether the log has the turn's start already: an adopter goes on with it. */
  readonly adopted: boolean;
  /** What its model has called before: of an adopted turn. */
  readonly rounds: readonly StoredRound[];
}

/** A turn that is to begin. */
export interface Beginning {
  readonly asked: AskedTurn;
  readonly by: Actor;
  readonly opener: Opener;
  readonly entry: TurnEntry;
  readonly isBackground: boolean;
  readonly askedAt: number | null;
}

/** The first attempt at what a request asks for. */
export function firstAttempt(
  claimed: ClaimedTurn,
  { asked, by, opener, entry, isBackground, askedAt }: Beginning,
): TurnAttempt {
  const { model, options, toolPolicy, checkpointEvery, bodyHash, idempotencyKey } = asked;
  const { sessionId, turnId, epoch, state, system, notes, transcript, update } = claimed;
  return {
    sessionId,
    turnId,
    epoch,
    by,
    state,
    opener,
    request: { update, model, options, toolPolicy, checkpointEvery, bodyHash, idempotencyKey },
    prompt: {
      system: [...(update.system ?? system), ...notes],
      transcript,
      keeps: update.keeps,
      messages: update.messages,
      isStored: false,
    },
    entry,
    askedAt,
    isConfirmed: entry === 'queued' || isBackground,
    adopted: false,
    rounds: [],
  };
}

/** The next attempt at a turn whose runner died, from what is stored of it. */
export function nextAttempt(
  sessionId: string,
  session: OpenSession,
  turn: TurnRecord,
  stored: Pick<Prompt, 'system' | 'transcript'> & Pick<TurnAttempt, 'rounds'>,
): TurnAttempt {
  const { turnId, epoch, model, options, toolPolicy, messages, firstIndex } = turn;
  const { system, transcript, rounds } = stored;
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
      toolPolicy,
      checkpointEvery: turn.checkpointEvery,
      bodyHash: null,
      idempotencyKey: null,
    },
    // The stored transcript ends with the turn's own messages.
    prompt: { system, transcript, keeps: transcript.count, messages: [], isStored: true },
    entry: 'at-once',
    askedAt: null,
    isConfirmed: false,
    adopted: true,
    rounds,
  };
}
