import { Readable } from 'node:stream';
import { Pool } from 'undici';
import type { ModelRequest, ModelResponse } from '../chat-model.js';
import { ChatModel } from '../chat-model.js';
import { InvalidSetting } from '../invalid-setting.js';
import { UpstreamCall } from './upstream-call.js';
import { upstreamRequestHeaders } from './upstream-headers.js';

/** Where the model is, and how long it is waited for. */
export interface OpenAiCompatibleOptions {
  /** As OpenAI's clients take it: `https://api.openai.com/v1`. A query is kept. */
  readonly baseUrl: string;
  readonly apiKey?: string;
  /**
   * Longest wait for the response head, in milliseconds. Default 10 minutes: an answer that is not
   * streamed takes long.
   */
  readonly headersTimeoutMs?: number;
  /** Longest silence inside a response body, in milliseconds. Default 5 minutes. */
  readonly bodyIdleTimeoutMs?: number;
}

const CONNECT_TIMEOUT_MS = 10_000;
const HEADERS_TIMEOUT_MS = 600_000;
const BODY_IDLE_TIMEOUT_MS = 300_000;
/** One stream takes one connection; calls above this wait for a free one. */
const MAX_CONNECTIONS = 16_384;

/** A model behind an endpoint that speaks OpenAI's chat completions. */
export class OpenAiCompatibleModel extends ChatModel {
  override readonly description: string;
  private readonly pool: Pool;
  private readonly path: string;
  private readonly apiKey: string | undefined;

  /**
   * Throws `InvalidSetting` when `baseUrl` is no URL of http or https, or holds a user or password.
   */
  constructor(options: OpenAiCompatibleOptions) {
    super();
    const url = parseBaseUrl(options.baseUrl);
    const path = url.pathname.replace(/\/+$/, '');
    this.description = `OpenAI-compatible endpoint ${url.origin}${path}`;
    this.path = `${path}/chat/completions${url.search}`;
    this.apiKey = options.apiKey;
    this.pool = new Pool(url.origin, {
      connections: MAX_CONNECTIONS,
      pipelining: 1,
      // One connection per stream: a stalled or aborted one must not hold up others, and HTTP/1.1
      // costs the least CPU.
      allowH2: false,
      connectTimeout: CONNECT_TIMEOUT_MS,
      headersTimeout: options.headersTimeoutMs ?? HEADERS_TIMEOUT_MS,
      bodyTimeout: options.bodyIdleTimeoutMs ?? BODY_IDLE_TIMEOUT_MS,
    });
  }

  override complete(request: ModelRequest): Promise<ModelResponse> {
    const call = new UpstreamCall(request.signal, this.description);
    if (request.signal.aborted) return call.head;
    const { body } = request;
    const headers = {
      ...upstreamRequestHeaders(request.headers, this.apiKey),
      // Of a body in pieces the client would not know it, and send chunks instead.
      ...(isWhole(body) ? {} : { 'content-length': String(lengthOf(body)) }),
    };
    const sent = isWhole(body) ? body : Readable.from(body);
    this.pool.dispatch({ path: this.path, method: 'POST', headers, body: sent }, call);
    return call.head;
  }

  override async close(): Promise<void> {
    if (!this.pool.destroyed) await this.pool.destroy();
  }
}

function isWhole(body: ModelRequest['body']): body is Uint8Array {
  return body instanceof Uint8Array;
}

function lengthOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, piece) => sum + piece.length, 0);
}

function parseBaseUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new InvalidSetting(
      'SBP_LLM_BASE_URL',
      'must be a URL that begins with http:// or https://',
    );
  }
  if (url.username !== '' || url.password !== '') {
    throw new InvalidSetting(
      'SBP_LLM_BASE_URL',
      'must not hold a user or password: use SBP_LLM_API_KEY',
    );
  }
  return url;
}
