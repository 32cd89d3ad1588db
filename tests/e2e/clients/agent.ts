import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import { HEADERS, MessagesResponse, SbpResponse, SessionResponse } from '#libs/protocol';
import { Completion } from './bodies.js';
import { CompletionStream } from './completion-stream.js';

type Messages = z.infer<typeof MessagesResponse>['messages'];

/** What an HTTP request was answered with. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: unknown;
}

/** A completed turn, as its caller sees it. */
interface Turn {
  readonly completion: Completion;
  readonly sbp: SbpResponse;
  readonly headers: Headers;
}

export type Headings = Readonly<Record<string, string>>;
type Fields = Readonly<Record<string, unknown>>;

/** Words for the built-in model that steer how it answers one message. */
export function steered(how: string, text: string): string {
  return `demo: ${how}\n${text}`;
}

export async function request(url: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(url, init);
  const text = await response.text();
  const isJson =
    response.headers.get('content-type')?.includes('application/json') === true && text !== '';
  return {
    status: response.status,
    headers: response.headers,
    text,
    json: isJson ? JSON.parse(text) : null,
  };
}

/** An agent that no other test knows: what the server finds by agent is its own. */
export class Agent {
  readonly id = `agent-${randomUUID()}`;

  constructor(readonly url: string) {}

  /** The same agent, by the address of one replica. */
  at(url: string): Agent {
    return Object.assign(new Agent(url), { id: this.id });
  }

  /** Sends a body to `/v1/chat/completions`; a string goes as it is. */
  async post(body: unknown, headers: Headings = {}): Promise<Answer> {
    return request(`${this.url}/v1/chat/completions`, this.init(body, headers));
  }

  /** One turn with one new user message, or with all these messages. */
  async turn(
    said: string | readonly Fields[],
    sbp: Fields | null = {},
    more: Fields & { headers?: Headings } = {},
  ): Promise<Turn> {
    const { headers, ...fields } = more;
    const answer = await this.post(
      { ...bodyOf(said, fields), ...(sbp === null ? {} : { sbp }) },
      headers,
    );
    if (answer.status !== 200) throw new Error(`${answer.status}: ${answer.text}`);
    const completion = Completion.parse(answer.json);
    return { completion, sbp: SbpResponse.parse(completion.sbp), headers: answer.headers };
  }

  /** One turn whose answer streams; resolves with the head of the answer. */
  async stream(
    said: string | readonly Fields[],
    sbp: Fields | null = {},
    more: Fields & { headers?: Headings } = {},
  ): Promise<CompletionStream> {
    const { headers = {}, ...fields } = more;
    const abort = new AbortController();
    const body = { ...bodyOf(said, fields), stream: true, ...(sbp === null ? {} : { sbp }) };
    const response = await fetch(`${this.url}/v1/chat/completions`, {
      ...this.init(body, headers),
      signal: abort.signal,
    });
    if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
    return new CompletionStream(response, abort);
  }

  async get(path: string, headers: Headings = {}): Promise<Answer> {
    return request(`${this.url}/v1/sbp/${path}`, { headers });
  }

  async delete(path: string, headers: Headings = {}): Promise<Answer> {
    return request(`${this.url}/v1/sbp/${path}`, { method: 'DELETE', headers });
  }

  async session(sessionId: string): Promise<z.infer<typeof SessionResponse>> {
    return SessionResponse.parse((await this.get(`sessions/${sessionId}`)).json);
  }

  async messages(sessionId: string): Promise<Messages> {
    return MessagesResponse.parse(
      (await this.get(`sessions/${sessionId}/messages?limit=1000`)).json,
    ).messages;
  }

  /** Asks for what a session is to become. */
  async patch(sessionId: string, status: unknown, headers: Headings = {}): Promise<Answer> {
    const init = { ...this.init({ status }, headers), method: 'PATCH' };
    return request(`${this.url}/v1/sbp/sessions/${sessionId}/status`, init);
  }

  /** Sends a body to a path below `/v1/sbp/`. */
  async send(path: string, body?: unknown, headers: Headings = {}): Promise<Answer> {
    return request(`${this.url}/v1/sbp/${path}`, this.init(body, headers));
  }

  async export(sessionId: string, body?: unknown, headers: Headings = {}): Promise<Answer> {
    return request(`${this.url}/v1/sbp/sessions/${sessionId}/export`, this.init(body, headers));
  }

  private init(body: unknown, headers: Headings): RequestInit {
    return {
      method: 'POST',
      headers: { 'content-type': 'application/json', [HEADERS.agentId]: this.id, ...headers },
      ...(body === undefined
        ? {}
        : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    };
  }
}

function bodyOf(said: string | readonly Fields[], fields: Fields): Fields {
  const messages = typeof said === 'string' ? [{ role: 'user', content: said }] : said;
  return { model: 'gpt-4o', messages, ...fields };
}

/** What a transcript says, without the fields that differ each time. */
export function saidIn(messages: Messages): readonly string[] {
  return messages.map(({ role, ...message }) => `${role}: ${String(message['content'])}`);
}
