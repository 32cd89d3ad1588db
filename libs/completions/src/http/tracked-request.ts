import type { Credential } from '#libs/access';
import type { History } from '#libs/domain';
import type { Actor, CompletionRequest, JsonObject, SbpRequest } from '#libs/protocol';

/** A request that belongs to a session, read and checked. */
export interface TrackedRequest {
  readonly credential: Credential;
  /** Who asks, as the log keeps it. */
  readonly by: Actor;
  /** Size of the body. */
  readonly bytes: number;
  /** SHA-256 of the body as it came, in hex. */
  readonly bodyHash: string;
  readonly agentId: string;
  /** Null for a request that is tracked without an `sbp` object. */
  readonly sbp: SbpRequest | null;
  readonly checkpointEvery: number;
  /** What its messages are. */
  readonly history: History;
  readonly completion: CompletionRequest;
  /** The body without `model`, `messages` and `sbp`. */
  readonly options: JsonObject;
}

/** Whether the client asked for usage in its stream. */
export function wantsUsage(request: TrackedRequest): boolean {
  return request.completion.stream_options?.include_usage === true;
}
