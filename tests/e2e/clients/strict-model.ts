import { once } from 'node:events';
import type { Server as HttpServer, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Message } from '#libs/protocol';
import type { StrictRequest } from './strict-answer.js';
import { completionOf, deedFor, streamOf } from './strict-answer.js';

/** What a user says to be refused, as an image that the model cannot read. */
export const UNREADABLE = [{ type: 'image_url', image_url: { url: 'data:unreadable' } }];

/** A header that only the server between may send. */
const OF_ITS_OWN = { 'x-sbp-context-turns-omitted': '99' };

/** The fields of a request that the clients of these tests send. */
const KNOWN_FIELDS = [
  'max_completion_tokens',
  'max_tokens',
  'messages',
  'model',
  'n',
  'parallel_tool_calls',
  'response_format',
  'stream',
  'stream_options',
  'temperature',
  'tool_choice',
  'tools',
];

/**
 * A model that takes only what OpenAI's takes: 400 for tool calls that are not all answered by the
 * messages behind them, for answers to no call, for an image that it cannot read, for fields that
 * it does not know, and for a schema that leaves fields open. What it does with the rest is in the
 * last user message: see `deedFor`.
 */
export class StrictModel {
  /** What it was sent last, accepted or not. */
  asked: readonly Message[] = [];
  /** The limit of tokens that came with it. */
  limit: number | null = null;
  /** The tools that it was offered, and what it was told of its choice. */
  tools: readonly unknown[] = [];
  toolChoice: unknown = null;

  private constructor(private readonly server: HttpServer) {}

  static async start(): Promise<StrictModel> {
    const server = createServer((request, response) => {
      void text(request).then((body) => model.answer(JSON.parse(body) as StrictRequest, response));
    });
    const model = new StrictModel(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return model;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/v1`;
  }

  async stop(): Promise<void> {
    this.server.close();
    this.server.closeAllConnections();
    await once(this.server, 'close');
  }

  private answer(request: StrictRequest, response: ServerResponse): void {
    this.asked = request.messages;
    this.limit = request.max_tokens ?? null;
    this.tools = request.tools ?? [];
    this.toolChoice = request.tool_choice ?? null;
    const problem = problemWith(request) ?? problemOf(request.messages);
    if (problem !== null) {
      refuse(response, 400, problem);
      return;
    }
    const deed = deedFor(request);
    switch (deed.type) {
      case 'refuse':
        refuse(response, deed.status, deed.message);
        return;
      case 'break':
        response.destroy();
        return;
      case 'never':
        return;
      case 'say':
      case 'call':
        if (request.stream === true) {
          response.writeHead(200, {
            ...OF_ITS_OWN,
            'content-type': 'text/event-stream; charset=utf-8',
          });
          response.end(streamOf(deed, request.stream_options?.include_usage === true));
        } else {
          send(response, 200, completionOf(deed));
        }
    }
  }
}

function send(response: ServerResponse, status: number, body: object): void {
  response
    .writeHead(status, { ...OF_ITS_OWN, 'content-type': 'application/json' })
    .end(JSON.stringify(body));
}

function refuse(response: ServerResponse, status: number, message: string): void {
  const error = { message, type: 'invalid_request_error', param: null, code: null };
  send(response, status, { error });
}

function problemWith({ response_format, ...request }: StrictRequest): string | null {
  const unknown = Object.keys(request).find((field) => !KNOWN_FIELDS.includes(field));
  if (unknown !== undefined) return `Unrecognized request argument supplied: ${unknown}`;
  const format = response_format?.json_schema;
  if (format === undefined) return null;
  if (format.name === undefined) return "Missing required parameter: 'json_schema.name'.";
  return format.schema.additionalProperties === false
    ? null
    : "'additionalProperties' is required to be supplied and to be false.";
}

function problemOf(messages: readonly Message[]): string | null {
  let missing: readonly unknown[] = [];
  for (const message of messages) {
    if (JSON.stringify(message.content ?? null).includes('data:unreadable')) {
      return 'The image cannot be read.';
    }
    if (message.role === 'tool') {
      if (!missing.includes(message.tool_call_id)) return 'A tool message answers no call.';
      missing = missing.filter((id) => id !== message.tool_call_id);
      continue;
    }
    if (missing.length > 0) return 'Tool calls are not answered.';
    missing = (message.tool_calls ?? []).map(({ id }) => id);
  }
  return missing.length > 0 ? 'Tool calls are not answered.' : null;
}
