import type { Credential } from '#libs/access';
import type { CompletionRequest, JsonObject, SbpRequest } from '#libs/protocol';

/** A request that belongs to a session, read and checked. */
export interface TrackedRequest {
  readonly credential: Credential;
  readonly agentId: string;
  /** Null for a request that is tracked without an `sbp` object. */
  readonly sbp: SbpRequest | null;
  readonly checkpointEvery: number;
  readonly completion: CompletionRequest;
  /** The body without `model`, `messages` and `sbp`. */
  readonly options: JsonObject;
}

/** Whether the client asked for usage in its stream. */
export function wantsUsage(request: TrackedRequest): boolean {
  return request.completion.stream_options?.include_usage === true;
}
