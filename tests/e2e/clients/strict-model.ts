import { once } from 'node:events';
import type { Server as HttpServer } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Message } from '#libs/protocol';

/** What a user says to be refused, as an image that the model cannot read. */
export const UNREADABLE = [{ type: 'image_url', image_url: { url: 'data:unreadable' } }];

/**
 * A model that takes only what OpenAI's takes: 400 for tool calls that are not all answered by the
 * messages behind them, for answers to no call, and for an image that it cannot read. `call: a b`
 * makes it call the tools `a` and `b`; else it says how many messages it was sent.
 */
export class StrictModel {
  /** What it was sent last, accepted or not. */
  asked: readonly Message[] = [];

  private constructor(private readonly server: HttpServer) {}

  static async start(): Promise<StrictModel> {
    const server = createServer((request, response) => {
      void text(request).then((body) => {
        const { messages } = JSON.parse(body) as { readonly messages: readonly Message[] };
        model.asked = messages;
        const problem = problemOf(messages);
        response.writeHead(problem === null ? 200 : 400, { 'content-type': 'application/json' });
        const answer = problem === null ? completion(messages) : { error: { message: problem } };
        response.end(JSON.stringify(answer));
      });
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

function completion(messages: readonly Message[]): object {
  const last = messages.at(-1);
  const said = last?.role === 'user' && typeof last.content === 'string' ? last.content : '';
  const ids = said.startsWith('call: ') ? said.slice('call: '.length).split(' ') : [];
  const calls = ids.map((id) => ({
    id,
    type: 'function',
    function: { name: id, arguments: '{}' },
  }));
  const message =
    ids.length > 0
      ? { role: 'assistant', content: null, tool_calls: calls }
      : { role: 'assistant', content: `I was sent ${messages.length} messages.` };
  const finish_reason = ids.length > 0 ? 'tool_calls' : 'stop';
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1,
    model: 'strict',
    choices: [{ index: 0, message, finish_reason }],
    usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
  };
}
