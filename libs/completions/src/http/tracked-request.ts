import type { Credential } from '#libs/access';
import type { AskedTurn } from '#libs/domain';
import type { Actor, SbpRequest } from '#libs/protocol';

/** What a request says of its being a repeat. */
export type Repeat =
  /** It can be repeated, and cannot be known again. */
  | { readonly type: 'unknown' }
  /** Its client has chosen a key for it and its repeats. */
  | { readonly type: 'key'; readonly key: string }
  /** Its client repeats by itself, and counts. */
  | { readonly type: 'count'; readonly count: number };

/** A request that belongs to a session, read and checked. */
export interface TrackedRequest {
  readonly credential: Credential;
  /** Who asks, as the log keeps it. */
  readonly by: Actor;
  readonly agentId: string;
  /** Null for a request that is tracked without an `sbp` object. */
  readonly sbp: SbpRequest | null;
  /** Of the turn that it asks for. */
  readonly turnId: string;
  readonly asked: AskedTurn;
  readonly repeat: Repeat;
  /** Whether the client wants a stream. */
  readonly streams: boolean;
  /** Whether the client asked for usage in its stream. */
  readonly showUsage: boolean;
}

/** Whether its caller is answered before the turn runs. */
export function isBackground({ sbp }: TrackedRequest): boolean {
  return sbp?.background === true;
}

/** Whether the turn is to end when its caller goes away. */
export function endsWithCaller({ sbp }: TrackedRequest): boolean {
  return sbp?.on_disconnect === 'cancel' && !sbp.background;
}
