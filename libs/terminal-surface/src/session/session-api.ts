import type { JsonObject } from '#libs/protocol';
import { HEADERS, SbpAccepted } from '#libs/protocol';
import { shortLine } from '../terminal/plain-text.js';

const LONGEST_PROBLEM = 1_000;

/** A session and its credential. */
export interface SessionHandle {
  readonly id: string;
  readonly token: string;
}

export type Opened =
  | { readonly type: 'opened'; readonly session: SessionHandle }
  | { readonly type: 'refused'; readonly problem: string };

export type Sent =
  { readonly type: 'sent' } | { readonly type: 'refused'; readonly problem: string };

/** What a surface asks of the server by HTTP. Turns themselves it sees by its socket. */
export class SessionApi {
  /**
   * `url`: of the server, without a slash at its end. `apiKey`: of a principal; null for none.
   * `signal` ends all requests.
   */
  constructor(
    private readonly url: string,
    private readonly apiKey: string | null,
    private readonly model: string,
    private readonly signal: AbortSignal,
  ) {}

  /** Opens a session of its own by its first message, whose turn waits in it for a surface. */
  async open(message: string): Promise<Opened> {
    try {
      const sbp = { force_new_session: true, background: true };
      const response = await this.post(message, sbp, {});
      if (!response.ok) return { type: 'refused', problem: await problemOf(response) };
      const body = SbpAccepted.safeParse(fieldOf(await response.json(), 'sbp'));
      if (!body.success) return { type: 'refused', problem: 'The answer names no session.' };
      const { session_id: id, session_token: token } = body.data;
      return { type: 'opened', session: { id, token } };
    } catch (error) {
      return { type: 'refused', problem: this.unreachable(error) };
    }
  }

  /** Sends a message, and resolves when its turn has ended: it runs while it has a reader. */
  async send(message: string, { id, token }: SessionHandle): Promise<Sent> {
    try {
      const headers = { [HEADERS.sessionToken]: token };
      const response = await this.post(message, { session_id: id }, headers, true);
      if (!response.ok) return { type: 'refused', problem: await problemOf(response) };
      const reader = response.body?.getReader();
      while (reader !== undefined && !(await reader.read()).done);
      return { type: 'sent' };
    } catch (error) {
      return { type: 'refused', problem: this.unreachable(error) };
    }
  }

  private post(
    message: string,
    sbp: JsonObject,
    headers: Readonly<Record<string, string>>,
    stream = false,
  ): Promise<Response> {
    const messages = [{ role: 'user', content: message }];
    return fetch(`${this.url}/v1/chat/completions`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(this.apiKey === null ? {} : { authorization: `Bearer ${this.apiKey}` }),
        ...headers,
      },
      body: JSON.stringify({ model: this.model, messages, stream, sbp }),
      signal: this.signal,
    });
  }

  private unreachable(error: unknown): string {
    if (!(error instanceof Error)) return String(error);
    const cause = error.cause as NodeJS.ErrnoException | undefined;
    const why = cause?.code ?? cause?.message ?? error.message;
    return `The request to ${this.url} failed (${why}).`;
  }
}

/** In the server's words, where it has any. */
async function problemOf(response: Response): Promise<string> {
  const status = `The server answers ${response.status}`;
  try {
    const error = fieldOf(await response.json(), 'error');
    const message = fieldOf(error, 'message');
    return typeof message === 'string'
      ? `${status}: ${shortLine(message, LONGEST_PROBLEM)}`
      : `${status}.`;
  } catch {
    return `${status}.`;
  }
}

function fieldOf(value: unknown, field: string): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Readonly<Record<string, unknown>>)[field]
    : undefined;
}
