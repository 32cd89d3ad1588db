/** One call of an OpenAI-compatible chat completions endpoint. */
export interface ModelRequest {
  /** The JSON body, already final: it is sent verbatim; in pieces where it is long. */
  readonly body: Uint8Array | readonly Uint8Array[];
  /** Ends the call at any point, the response body included. */
  readonly signal: AbortSignal;
  /**
   * More request headers. Credentials for this server (`Authorization`, `Cookie`,
   * `X-Session-Token`), hop-by-hop headers and those that describe the caller's own body are never
   * forwarded, whoever puts them here.
   */
  readonly headers?: Readonly<Record<string, string>>;
}

/** The model's answer: any HTTP status, errors included, with a body that is still to be read. */
export interface ModelResponse {
  readonly status: number;
  /** Names in lower case; hop-by-hop headers and cookies are removed. */
  readonly headers: Readonly<Record<string, string>>;
  /**
   * The body's bytes as they come, to be read once. It holds a connection until it is read to its
   * end, left by `return()` (as `break` in `for await` does), or aborted. It throws
   * `UpstreamBroken` when the stream breaks off.
   */
  readonly body: AsyncIterable<Uint8Array>;
}

/**
 * Port: the model behind the server.
 *
 * Each call of `complete` is begun by the model at most once: it is sent again only where no
 * connection was taken, or where a connection that had served before was closed before a byte of
 * the answer. So the caller decides whether another attempt is worth its price. Calls are
 * independent of each other and unordered.
 */
export abstract class ChatModel {
  /**
   * Resolves when the response head has come, whatever its status.
   *
   * Rejects with `UpstreamUnavailable` when no head could be had (refused, DNS, TLS, reset,
   * timeout): the model may have run none the less. Aborting the signal rejects promptly with the
   * signal's reason; so does the body.
   */
  abstract complete(request: ModelRequest): Promise<ModelResponse>;

  /** What answers, for banners and logs; never a credential. */
  abstract readonly description: string;

  /**
   * Breaks off the calls under way and refuses later ones with `UpstreamUnavailable`. May be called
   * again.
   */
  abstract close(): Promise<void>;
}
