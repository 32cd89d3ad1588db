import type { ProcessAddress, SessionBase, SurfaceContext, TurnPlace } from '#libs/protocol';

/** A turn that has begun and not ended. */
export interface OpenTurn {
  readonly turnId: string;
  /** Position among the session's turns, from 1. */
  readonly number: number;
  /** The epoch of the attempt that runs it now: of its start, or of its last adoption. */
  readonly epoch: number;
  readonly runner: ProcessAddress;
  /** How often another process took it over because its runner had died. */
  readonly adoptions: number;
  /** How often its model has called tools of the surface. */
  readonly rounds: number;
  /** How many bytes the calls of its round may still return. */
  readonly resultBytes: number;
  /** Whether its runner has left it on purpose, because its calls wait. */
  readonly parked: boolean;
  readonly startedAt: string;
}

/** A call of a tool of the surface that has no outcome yet. */
export interface OpenCall {
  readonly callId: string;
  readonly by: CallMaker;
  /** As surfaces know it. */
  readonly toolName: string;
  readonly place: CallPlace;
  /** When its runner gives it up, or nobody waits for an approval or a device any more. */
  readonly deadline: string;
  /** How long a surface may take for it, in ms. */
  readonly timeoutMs: number;
  /** How long it waits for a surface that has its tool, in ms; null where it does not. */
  readonly waitMs: number | null;
}

/** The turn whose model made a call; or who waits for a call of a client of MCP. */
export type CallMaker =
  | { readonly type: 'turn'; readonly turnId: string }
  | { readonly type: 'client'; readonly caller: ProcessAddress };

/** Where a call is: with the attachment that is called, or waiting. */
export type CallPlace =
  | { readonly type: 'surface'; readonly attachId: string }
  | { readonly type: 'approval' }
  | { readonly type: 'device' };

/** A turn that waits for those before it. */
export interface WaitingTurn {
  readonly turnId: string;
  /** Its place among all that were ever queued, from 1. */
  readonly place: number;
  /** Who starts it when its time has come. */
  readonly holder: ProcessAddress;
}

/** The surface that holds the session's socket. */
export interface Attachment {
  readonly attachId: string;
  readonly gateway: ProcessAddress;
  readonly context: SurfaceContext;
  readonly attachedAt: string;
}

/**
 * Whether a surface is there; only a surface that was ever there makes the Tether keep what callers
 * received.
 */
export type SurfacePresence =
  | { readonly type: 'never' }
  | { readonly type: 'detached' }
  | { readonly type: 'attached'; readonly attachment: Attachment };

export interface Checkpoint {
  readonly snapshotId: string;
  readonly at: string;
  readonly step: number;
}

interface Numbered {
  /** The highest epoch seen; an owned event below it does not count [A3]. 0 before any. */
  readonly epoch: number;
}

/**
 * An id of which the log holds no opening: at most a claim was taken over. It is no session to
 * anybody.
 */
export interface UnopenedSession extends Numbered {
  readonly phase: 'unopened';
  /** The parts that were copied for it so far; absent before any. */
  readonly parts?: number;
}

/**
 * Whether a session goes on. `suspended`: on purpose, until somebody resumes it. What has completed
 * or failed never goes on.
 */
export type Life =
  | { readonly type: 'active' }
  | {
      readonly type: 'suspended';
      readonly reason: 'requested';
      /** ISO 8601 in UTC. */
      readonly since: string;
    }
  /** It goes on as this session, of this agent. */
  | {
      readonly type: 'suspended';
      readonly reason: 'handoff';
      readonly successor: string;
      readonly agentId: string;
    }
  | { readonly type: 'completed' }
  | { readonly type: 'failed' };

/** What the log decides about a session, and nothing that anybody wrote. Bounded [A11]. */
export interface OpenSession extends Numbered {
  readonly phase: 'open';
  readonly principal: string;
  readonly agentId: string;
  readonly life: Life;
  /** Whether anything was ever to run in it. */
  readonly begun: boolean;
  /** Session tokens of an earlier generation are worth nothing. */
  readonly tokenGeneration: number;
  readonly createdAt: string;
  readonly updatedAt: string;
  /** The epoch of its opening: of two sessions the one opened at the higher epoch is the later. */
  readonly openedEpoch: number;
  readonly turn: OpenTurn | null;
  /** Turns that have started, or ended without that: the number of the last. */
  readonly turns: number;
  /** Those of them that ended without having started. */
  readonly withdrawn: number;
  /** The turns that wait, in the order in which they are to start; at most `MAX_WAITING`. */
  readonly waiting: readonly WaitingTurn[];
  /** Turns that were ever queued: the place of the last. */
  readonly queued: number;
  /** The last ids that were queued, or that nobody may queue any more, newest last. */
  readonly queuedIds: readonly string[];
  /** Turns that have completed. */
  readonly steps: number;
  /** What they cost together; null once it is not known of one. */
  readonly costUsd: number | null;
  /** Messages in the transcript. */
  readonly messages: number;
  /** Bytes of those messages, as JSON. */
  readonly bytes: number;
  /**
   * The number of the turn that brought the system messages in force; 0 where the session's base
   * has them, or there are none.
   */
  readonly systemTurn: number;
  /** Where its conversation begins in another session; null where it begins here. */
  readonly base: SessionBase | null;
  /** How many messages of the base an edit has left. */
  readonly baseEnd: number;
  /** The turns that tell the model where the conversation comes from, oldest first. */
  readonly notes: readonly TurnPlace[];
  readonly checkpoint: Checkpoint | null;
  /** The last `seq` given. The Tether is exactly `cursor < seq ≤ head`. */
  readonly head: number;
  /** The last `seq` that a surface acknowledged. */
  readonly cursor: number;
  readonly surface: SurfacePresence;
  /** The calls of tools that have no outcome yet. */
  readonly calls: readonly OpenCall[];
  /** How often a call was given to a surface. */
  readonly called: number;
  /**
   * The last calls that clients of MCP have made of the attached surface, newest last, so that a
   * late copy of one is known.
   */
  readonly clientCalls: readonly string[];
  /** The last attachments, newest last, so that a late copy of an attach is known. */
  readonly attachIds: readonly string[];
  /** When a surface took over from an attached one: the last few, newest last. */
  readonly takeovers: readonly string[];
  /**
   * The last turns that ended without a `seq`, newest last: what `turn.undelivered` can still make
   * owed.
   */
  readonly unowed: readonly UnowedTurn[];
}

export interface UnowedTurn {
  readonly turnId: string;
  readonly number: number;
}

/** The fold of one session's log, without the turns' contents. */
export type SessionState = UnopenedSession | OpenSession;

export const initialState: SessionState = { phase: 'unopened', epoch: 0 };

/** How many attachments and unowed turns the state remembers; older ones are forgotten. */
export const REMEMBERED = 16;

/** How many calls of clients may be open in a session at once. */
export const MAX_CLIENT_CALLS = 64;

/** How many takeovers within `TAKEOVER_WINDOW_MS` make a further attach be refused for a while. */
export const TAKEOVER_LIMIT = 5;
export const TAKEOVER_WINDOW_MS = 10_000;

/** `list` with `item` as its newest, bounded. */
export function remember<T>(list: readonly T[], item: T, bound = REMEMBERED): readonly T[] {
  return [...list, item].slice(-bound);
}
