import { pause } from '#libs/timing';
import { Pool } from 'undici';
import type { Dispatcher } from 'undici';
import type { ModelResponse } from '../chat-model.js';
import { InvalidSetting } from '../invalid-setting.js';
import { UpstreamCall } from './upstream-call.js';
import { codeOf, UpstreamUnavailable } from './upstream-errors.js';
import { connectorFor, wasStale } from './used-connections.js';

/** Where the model is, and how long it is waited for. */
export interface UpstreamOptions {
  /** As OpenAI's clients take it: `https://api.openai.com/v1`. A query is kept. */
  readonly baseUrl: string;
  readonly apiKey?: string;
  /** Longest wait for a connection, in milliseconds. Default 10 seconds. */
  readonly connectTimeoutMs?: number;
  /**
   * Longest wait for the response head, in milliseconds. Default 10 minutes: an answer that is not
   * streamed takes long.
   */
  readonly headersTimeoutMs?: number;
  /** Longest silence inside a response body, in milliseconds. Default 5 minutes. */
  readonly bodyIdleTimeoutMs?: number;
}

export const DEFAULT_TIMEOUTS = {
  connectMs: 10_000,
  headersMs: 600_000,
  bodyIdleMs: 300_000,
} as const;

/** One stream takes one connection; calls above this wait for a free one. */
const MAX_CONNECTIONS = 16_384;

/** How often a call that cannot have been begun is sent again. */
const MOST_RETRIES = 2;
/** Before the first of them, in ms; a server that restarts takes no connections for a moment. */
const RETRY_PAUSE_MS = 50;

/** One call, of which each try has a body of its own. */
export interface OutgoingCall {
  readonly method: string;
  /** Below the base URL, with its query. */
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: () => Dispatcher.DispatchOptions['body'];
  /** Whether `body` may be called again now. */
  readonly isRepeatable: () => boolean;
  readonly signal: AbortSignal;
}

/**
 * The connections to an OpenAI-compatible API, which are kept.
 *
 * A call is sent again only where it cannot have been begun: no connection was taken, or one that
 * had served before was closed before a byte of the answer.
 */
export class Upstream {
  /** Without credentials. */
  readonly address: string;
  readonly apiKey: string | undefined;
  private readonly pool: Pool;
  private readonly path: string;
  private readonly search: string;

  /**
   * Throws `InvalidSetting` when `baseUrl` is no URL of http or https, or holds a user or password.
   */
  constructor(options: UpstreamOptions) {
    const url = parseBaseUrl(options.baseUrl);
    this.path = url.pathname.replace(/\/+$/, '');
    this.search = url.search;
    this.address = `${url.origin}${this.path}`;
    this.apiKey = options.apiKey;
    this.pool = new Pool(url.origin, {
      connections: MAX_CONNECTIONS,
      pipelining: 1,
      // One connection per stream: a stalled or aborted one must not hold up others, and HTTP/1.1
      // costs the least CPU.
      allowH2: false,
      connect: connectorFor(options.connectTimeoutMs ?? DEFAULT_TIMEOUTS.connectMs),
      headersTimeout: options.headersTimeoutMs ?? DEFAULT_TIMEOUTS.headersMs,
      bodyTimeout: options.bodyIdleTimeoutMs ?? DEFAULT_TIMEOUTS.bodyIdleMs,
    });
  }

  /** Settles as `ChatModel.complete` says. */
  async send(call: OutgoingCall): Promise<ModelResponse> {
    for (let retries = 0; ; retries += 1) {
      try {
        return await this.once(call);
      } catch (error) {
        if (retries >= MOST_RETRIES || !wasNotBegun(error) || !call.isRepeatable()) throw error;
      }
      await pause(RETRY_PAUSE_MS * 2 ** retries);
    }
  }

  async close(): Promise<void> {
    if (!this.pool.destroyed) await this.pool.destroy();
  }

  private once({ method, path, headers, body, signal }: OutgoingCall): Promise<ModelResponse> {
    const call = new UpstreamCall(signal);
    if (!signal.aborted) {
      const options = { path: this.pathOf(path), method, headers, body: body() ?? null };
      this.pool.dispatch(options, call);
    }
    return call.head;
  }

  /** The base URL's query, such as an API version, goes along with every call. */
  private pathOf(path: string): string {
    const own = path.includes('?') ? this.search.replace('?', '&') : this.search;
    return `${this.path}${path}${own}`;
  }
}

function wasNotBegun(error: unknown): boolean {
  if (!(error instanceof UpstreamUnavailable)) return false;
  return codeOf(error.cause) === 'ECONNREFUSED' || wasStale(error.cause);
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
