import type { ProcessAddress, SurfaceContext } from '#libs/protocol';

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
  readonly startedAt: string;
}

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
}

/** What the log decides about a session, and nothing that anybody wrote. Bounded [A11]. */
export interface OpenSession extends Numbered {
  readonly phase: 'open';
  readonly principal: string;
  readonly agentId: string;
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
  /** The number of the turn that brought the system messages in force; 0 for none. */
  readonly systemTurn: number;
  readonly checkpoint: Checkpoint | null;
  /** The last `seq` given. The Tether is exactly `cursor < seq ≤ head`. */
  readonly head: number;
  /** The last `seq` that a surface acknowledged. */
  readonly cursor: number;
  readonly surface: SurfacePresence;
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

/** How many takeovers within `TAKEOVER_WINDOW_MS` make a further attach be refused for a while. */
export const TAKEOVER_LIMIT = 5;
export const TAKEOVER_WINDOW_MS = 10_000;

/** `list` with `item` as its newest, bounded. */
export function remember<T>(list: readonly T[], item: T, bound = REMEMBERED): readonly T[] {
  return [...list, item].slice(-bound);
}
