import type { ServerFrame } from '#libs/protocol';
import type { DeathOfSurface } from './device.js';

/** What clients were told and what was found in the end. Times are `Date.now()` of one machine. */
export interface History {
  readonly conversations: readonly ConversationHistory[];
  /** When a process died by SIGKILL. Those that were asked to stop are not among them. */
  readonly killedAt: readonly number[];
  /**
   * Whether the one address takes connections all the time, as a front does. A single server that
   * ends resets those that it has not looked at.
   */
  readonly alwaysTaken: boolean;
}

/** All that happened around one agent's session. */
export interface ConversationHistory {
  readonly name: string;
  /** The id of its session, as its callers were told it. */
  readonly sessionId: string;
  /** Whether calls of its surface's tool wait for the next surface when theirs goes. */
  readonly callsWait: boolean;
  readonly calls: readonly Call[];
  readonly reads: readonly Read[];
  readonly cancellations: readonly Cancellation[];
  readonly streams: readonly TurnRead[];
  readonly connections: readonly Connection[];
  /** The calls by which the counter of its device rose, in their order. */
  readonly counted: readonly string[];
  /**
   * Acknowledgements by surfaces that the log is known to have taken while their attachment was the
   * current one.
   */
  readonly acknowledged: readonly DurableAcknowledgement[];
  readonly found: Found;
  /** What the other consumers of the log keep of it; null where they were not asked. */
  readonly kept: Kept | null;
}

/** One `POST /v1/chat/completions`. */
export interface Call {
  /** Stands in its user message and in no other. */
  readonly marker: string;
  readonly begunAt: number;
  readonly endedAt: number;
  readonly reading: Reading;
  readonly manner: Manner;
  /** How often the model was asked to call the tool of the surface. */
  readonly toolCalls: number;
  readonly outcome: CallOutcome;
}

/**
 * How a call comes to its session: as it is; with a key, by which it is repeated until it is
 * answered; repeated as OpenAI's clients do, which count; without waiting for its turn; or so that
 * it ends, or does not wait for, another one.
 */
export type Manner = 'plain' | 'keyed' | 'counted' | 'background' | 'interrupt' | 'reject';

/** How a caller reads its answer: as it comes; slowly, but always on; not at all for long. */
export type Reading = 'eagerly' | 'steadily' | 'stalling';

export type CallOutcome =
  /** The whole answer came. */
  | {
      readonly type: 'answered';
      readonly sessionId: string;
      readonly turnId: string;
      readonly text: string;
      readonly stepCount: number;
    }
  /** The turn was taken, or is parked, and is to end by itself. */
  | { readonly type: 'accepted'; readonly sessionId: string; readonly turnId: string }
  /**
   * The model's end of the text came, so the turn was promised to be committed; then the stream
   * broke. `told`: the code of the error that the stream said it broke off for.
   */
  | { readonly type: 'finished'; readonly text: string; readonly told: string | null }
  /** The connection broke before the end of the text. `begun`: the head of an answer had come. */
  | { readonly type: 'broken'; readonly told: string | null; readonly begun: boolean }
  /**
   * The caller went away by itself. `told`: one of its tries was told that nothing had begun, so a
   * turn that did not complete need not come to a surface.
   */
  | { readonly type: 'vanished'; readonly told?: boolean }
  /** A whole answer that says no. `mayRetry`: nothing in it tells a client not to try again. */
  | {
      readonly type: 'refused';
      readonly status: number;
      readonly code: string | null;
      readonly mayRetry: boolean;
    }
  /** Nobody took the connection: nothing was sent. */
  | { readonly type: 'unreached' }
  /** Neither answered nor broken for very long. */
  | { readonly type: 'forgotten' };

/** One `POST …/cancel` of whatever turn runs. */
export interface Cancellation {
  readonly begunAt: number;
  /** What became of a turn, as it was told; null where nothing was, or that none runs. */
  readonly told: {
    readonly turnId: string;
    readonly status: 'completed' | 'failed' | 'cancelled';
  } | null;
}

/** A turn that was read by `GET …/turns/{turn_id}/stream`, over as many connections as it took. */
export interface TurnRead {
  readonly turnId: string;
  /** All text of the last attempt that was told. */
  readonly text: string;
  /** `error`: the stream said that the turn did not complete. */
  readonly end: 'whole' | 'error' | 'given up';
}

/** A `GET …/messages` on the way. */
export interface Read {
  readonly begunAt: number;
  readonly turnIds: readonly string[];
}

/** One WebSocket of a surface. */
export interface Connection {
  readonly id: string;
  readonly openedAt: number;
  readonly events: readonly ConnectionEvent[];
  /** The calls of its tool that it has answered, by their ids. */
  readonly answered: readonly string[];
  /** It died by itself there; null where it did not. */
  readonly diedAt: DeathOfSurface | null;
  readonly closedAt: number;
  /** As the WebSocket reported it; 1006 where the connection broke, or the surface broke it. */
  readonly closeCode: number;
}

export type ConnectionEvent =
  | { readonly type: 'received'; readonly at: number; readonly frame: ServerFrame }
  | {
      readonly type: 'sent';
      readonly at: number;
      readonly frame: 'ATTACH_SESSION' | 'PONG' | 'DETACH';
    };

export interface DurableAcknowledgement {
  readonly at: number;
  readonly seq: number;
}

/** What the session's API says when all is over. */
export interface Found {
  readonly messages: readonly FoundMessage[];
  /** All turns, with their status. */
  readonly turns: readonly { readonly turnId: string; readonly status: string }[];
  readonly turnInFlight: string | null;
  readonly stepCount: number;
  /** Turns that wait for a surface, after the last of them was acknowledged. */
  readonly queuedTurns: number;
}

/** What the audit trail and usage have of a session. */
export interface Kept {
  /** Turns of its agent, by how they ended. */
  readonly usage: Readonly<Record<'completed' | 'failed' | 'cancelled', number>>;
  /** Records of the log, by their places in it. */
  readonly trail: readonly {
    readonly place: string;
    readonly type: string;
    readonly turnId: string | null;
  }[];
}

export interface FoundMessage {
  readonly turnId: string;
  readonly role: string;
  readonly text: string;
  readonly createdAt: number;
}

/** A promise that was not kept. */
export interface Violation {
  readonly rule: Rule;
  readonly conversation: string;
  readonly detail: string;
}

export type Rule =
  /** What a caller was told, or a surface shown, is not there. */
  | 'lost'
  /** A turn or a message is there twice. */
  | 'doubled'
  | 'reordered'
  /** Two readers of one turn got different texts. */
  | 'altered'
  /** A turn began and has not ended, or a caller was never answered. */
  | 'unended'
  /** What was acknowledged came again. */
  | 'redrained'
  /** A `seq` is missing. */
  | 'gap'
  /** What follows SESSION_ATTACHED is not what it announced. */
  | 'drain'
  /** One `seq` for two turns, or two for one. */
  | 'conflict'
  /** A turn that nobody received was never given to a surface. */
  | 'undelivered'
  /** The pieces of a live turn do not fit together. */
  | 'chunks'
  /** A number that was told is wrong. */
  | 'count'
  /** A read did not show what had been acknowledged before it. */
  | 'stale'
  /** A caller was told that it may try again, and its turn completed. */
  | 'misled'
  /** A turn that was said to be cancelled is, to somebody, completed; or the other way round. */
  | 'uncancelled'
  /** A model was not told what came of a call. */
  | 'untold'
  /** A caller was cut off without a word, and no process had been killed. */
  | 'silent'
  /** What a caller got in full was given to the first surface too, though nothing had died. */
  | 'redelivered'
  /** The audit trail or usage does not agree with what is there. */
  | 'unkept'
  /** An answer, a close code or an end of a turn for which there was no reason. */
  | 'unexpected';
