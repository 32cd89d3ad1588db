import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { stamp, stampsIn } from './stamping-model.js';

interface Asked {
  readonly messages: readonly {
    readonly role: string;
    readonly content: string | null;
  }[];
}

/** What a user's message asks for. */
const WANTED = /rounds=(\d+) calls=(\d+)/;

/**
 * A model in this process that calls the surface's tool as the user's message says, `rounds=3
 * calls=1`: each call has for its argument the time at which it was made, and each result is the
 * time at which it was sent.
 */
export class CallingModel {
  /** From when the surface sent a result until the model had it, in ms. */
  readonly returned: number[] = [];
  /** From the last calls until all their results were there, in ms. */
  roundTrip = 0;
  private calledAt = 0;

  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  static async start(): Promise<CallingModel> {
    const server = createServer();
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const { port } = server.address() as AddressInfo;
    const model = new CallingModel(server, `http://127.0.0.1:${port}`);
    server.on('request', (request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.once('end', () => {
        const asked = JSON.parse(Buffer.concat(parts).toString()) as Asked;
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(JSON.stringify(completion(model.message(asked))));
      });
    });
    return model;
  }

  async close(): Promise<void> {
    await new Promise<void>((closed) => {
      this.server.close(() => closed());
      this.server.closeAllConnections();
    });
  }

  private message({ messages }: Asked): object {
    const now = performance.now();
    const turn = messages.slice(messages.findLastIndex(({ role }) => role === 'user'));
    const results = turn.slice(turn.findLastIndex(({ role }) => role === 'assistant') + 1);
    for (const { role, content } of results) {
      if (role === 'tool') this.returned.push(...stampsIn(content ?? '').map((at) => now - at));
    }
    if (this.calledAt > 0) this.roundTrip = now - this.calledAt;
    const [, rounds = 0, calls = 0] = WANTED.exec(turn[0]?.content ?? '')?.map(Number) ?? [];
    const made = turn.filter(({ role }) => role === 'assistant').length;
    if (made >= rounds) {
      this.calledAt = 0;
      return { role: 'assistant', content: 'Done.' };
    }
    this.calledAt = now;
    return {
      role: 'assistant',
      content: null,
      tool_calls: Array.from({ length: calls }, (_, at) => ({
        id: `c-${made}-${at}`,
        type: 'function',
        function: { name: 'surface_probe', arguments: JSON.stringify({ at: stamp() }) },
      })),
    };
  }
}

function completion(message: object) {
  const choices = [{ index: 0, message, finish_reason: 'stop' }];
  return { id: 'bench', object: 'chat.completion', created: 0, model: 'bench', choices };
}
