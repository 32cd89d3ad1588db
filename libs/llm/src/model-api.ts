import type { ModelResponse } from './chat-model.js';

/** A request to the model's API that is passed on as it came. */
export interface ApiRequest {
  readonly method: string;
  /** Below the base URL, with its query: `/models?limit=2`. */
  readonly path: string;
  /** The caller's own. What belongs to its connection or to this server is left out on the way. */
  readonly headers: Readonly<Record<string, string>>;
  /** The body as it comes, read at most once; null where there is none. */
  readonly body: AsyncIterable<Uint8Array> | null;
  /** Ends the call at any point, the response body included. */
  readonly signal: AbortSignal;
}

/**
 * Port: what the model's API has besides chat completions, such as `/models` and `/embeddings`.
 * `forward` settles as `ChatModel.complete` does. A request whose body was begun is never repeated.
 */
export abstract class ModelApi {
  abstract forward(request: ApiRequest): Promise<ModelResponse>;
}
