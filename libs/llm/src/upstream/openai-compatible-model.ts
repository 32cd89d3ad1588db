import { Readable } from 'node:stream';
import type { ModelRequest, ModelResponse } from '../chat-model.js';
import { ChatModel } from '../chat-model.js';
import type { ApiRequest, ModelApi } from '../model-api.js';
import { forwardedRequestHeaders, upstreamRequestHeaders } from './upstream-headers.js';
import type { UpstreamOptions } from './upstream.js';
import { Upstream } from './upstream.js';

/** A model behind an endpoint that speaks OpenAI's chat completions, and the rest of its API. */
export class OpenAiCompatibleModel extends ChatModel implements ModelApi {
  override readonly description: string;
  private readonly upstream: Upstream;

  /**
   * Throws `InvalidSetting` when `baseUrl` is no URL of http or https, or holds a user or password.
   */
  constructor(options: UpstreamOptions) {
    super();
    this.upstream = new Upstream(options);
    this.description = `OpenAI-compatible endpoint ${this.upstream.address}`;
  }

  override complete({ body, headers, signal }: ModelRequest): Promise<ModelResponse> {
    return this.upstream.send({
      method: 'POST',
      path: '/chat/completions',
      headers: {
        ...upstreamRequestHeaders(headers, this.upstream.apiKey),
        // Of a body in pieces the client would not know it, and send chunks instead.
        ...(isWhole(body) ? {} : { 'content-length': String(lengthOf(body)) }),
      },
      body: () => (isWhole(body) ? body : Readable.from(body)),
      isRepeatable: () => true,
      signal,
    });
  }

  forward({ method, path, headers, body, signal }: ApiRequest): Promise<ModelResponse> {
    let isBegun = false;
    async function* once(parts: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      isBegun = true;
      yield* parts;
    }
    return this.upstream.send({
      method,
      path,
      headers: forwardedRequestHeaders(headers, this.upstream.apiKey),
      body: () => (body === null ? null : Readable.from(once(body))),
      isRepeatable: () => !isBegun,
      signal,
    });
  }

  override close(): Promise<void> {
    return this.upstream.close();
  }
}

function isWhole(body: ModelRequest['body']): body is Uint8Array {
  return body instanceof Uint8Array;
}

function lengthOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, piece) => sum + piece.length, 0);
}
