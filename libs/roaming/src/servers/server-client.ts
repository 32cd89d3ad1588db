import { lookup as systemLookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { SbpError } from '#libs/protocol';
import { Agent, request } from 'undici';
import type { Dispatcher } from 'undici';
import { mayConnect } from './address-guard.js';

/** What may be asked of other servers. */
export interface ServerClientOptions {
  /** Base URLs, without a slash at the end: no request goes anywhere else. */
  readonly trusted: readonly string[];
  /** Whether their names may stand for addresses of private networks. */
  readonly allowsPrivate: boolean;
  /** How names are resolved. */
  readonly lookup?: LookupFunction;
}

export interface ServerRequest {
  readonly method: 'GET' | 'POST';
  /** Begins with a slash. */
  readonly path: string;
  readonly token?: string;
  readonly body?: object;
}

/** An answer whose body is read by whoever asked. */
export type ServerAnswer = Pick<Dispatcher.ResponseData, 'statusCode' | 'headers' | 'body'>;

/** How long a connection may take, and then a silence, in ms. */
const TIMEOUTS = { connect: 5_000, headersTimeout: 20_000, bodyTimeout: 20_000 };
/** Bytes of an answer that is read whole. */
const SMALL = 256 * 1024;

/**
 * Asks other servers. The address is checked when the connection is made, so that a name cannot
 * stand for another one then than when it was looked at; redirects are not followed.
 */
export class ServerClient {
  private readonly agent: Agent;
  private readonly trusted: ReadonlySet<string>;

  constructor({ trusted, allowsPrivate, lookup }: ServerClientOptions) {
    this.trusted = new Set(trusted);
    const guarded = guardedLookup(lookup ?? systemLookup, allowsPrivate);
    const { connect: timeout, ...timeouts } = TIMEOUTS;
    this.agent = new Agent({ ...timeouts, connect: { timeout, lookup: guarded } });
  }

  trusts(server: string): boolean {
    return this.trusted.has(server);
  }

  /** @throws SbpError SBP_UPSTREAM_UNAVAILABLE where it does not answer, or may not be asked */
  async ask(
    server: string,
    { method, path, token, body }: ServerRequest,
    signal?: AbortSignal,
  ): Promise<ServerAnswer> {
    if (!this.trusts(server)) throw unavailable(server, 'it is not among SBP_TRUSTED_ISSUERS');
    try {
      return await request(`${server}${path}`, {
        method,
        dispatcher: this.agent,
        headers: {
          accept: 'application/json',
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (error) {
      throw unavailable(server, reasonOf(error), error);
    }
  }

  /** As `ask`, where the answer is short JSON; null for what is none. @throws as `ask` */
  async askJson(
    server: string,
    asked: ServerRequest,
  ): Promise<{ readonly status: number; readonly json: unknown }> {
    const { statusCode: status, body } = await this.ask(server, asked);
    try {
      return { status, json: jsonOf(await readSmall(body)) };
    } catch (error) {
      throw unavailable(server, reasonOf(error), error);
    }
  }

  async close(): Promise<void> {
    await this.agent.destroy();
  }
}

/** Refuses what a name may not stand for, at the moment of connecting. */
function guardedLookup(lookup: LookupFunction, allowsPrivate: boolean): LookupFunction {
  return (host, options, callback) => {
    lookup(host, options, (error, address, family) => {
      const all = typeof address === 'string' ? [{ address }] : address;
      const refused = all.find((each) => !mayConnect(host, each.address, allowsPrivate));
      if (error === null && refused !== undefined) {
        const problem = `${host} stands for ${refused.address}, which is not public`;
        callback(new Error(problem), address, family);
        return;
      }
      callback(error, address, family);
    });
  };
}

async function readSmall(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > SMALL) throw new Error('its answer is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** An error in words. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What is told where another server cannot be asked. */
export function unavailable(server: string, problem: string, cause?: unknown): SbpError {
  const message = `The server ${server} could not be asked: ${problem}. Try again.`;
  return new SbpError('SBP_UPSTREAM_UNAVAILABLE', message, { retryAfter: 5, cause });
}
