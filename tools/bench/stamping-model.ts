import { createServer } from 'node:http';
import type { Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Parts the stamps of merged deltas. */
const END = ';';

/** The times of the deltas in a piece of text, in ms of this process' monotonic clock. */
export function stampsIn(text: string): readonly number[] {
  return text.split(END).flatMap((stamp) => (stamp === '' ? [] : [Number(stamp)]));
}

export function stamp(): string {
  return `${performance.now().toFixed(3)}${END}`;
}

/**
 * A model in this process: each delta that it streams is the time at which it left. It goes on
 * until it is told to end.
 */
export class StampingModel {
  private readonly answers = new Set<ServerResponse>();
  private intervalMs = 20;

  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  static async start(): Promise<StampingModel> {
    const server = createServer();
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const model = new StampingModel(
      server,
      `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    );
    server.on('request', (request, response) => {
      request.resume().once('end', () => model.answer(response));
    });
    return model;
  }

  /** The pause between two deltas of answers that begin from now on. */
  pace(intervalMs: number): void {
    this.intervalMs = intervalMs;
  }

  /** Ends all answers, as a model does that has said everything. */
  finish(): void {
    for (const answer of this.answers) answer.end(`${chunk({}, 'stop')}data: [DONE]\n\n`);
    this.answers.clear();
  }

  async close(): Promise<void> {
    this.finish();
    await new Promise<void>((closed) => {
      this.server.close(() => closed());
      this.server.closeAllConnections();
    });
  }

  private answer(response: ServerResponse): void {
    this.answers.add(response);
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const timer = setInterval(
      () => response.write(chunk({ content: stamp() }, null)),
      this.intervalMs,
    );
    response.once('close', () => this.answers.delete(response));
    response.once('finish', () => clearInterval(timer));
    response.once('close', () => clearInterval(timer));
  }
}

function chunk(delta: object, finishReason: string | null): string {
  const choices = [{ index: 0, delta, finish_reason: finishReason }];
  const json = {
    id: 'bench',
    object: 'chat.completion.chunk',
    created: 0,
    model: 'bench',
    choices,
  };
  return `data: ${JSON.stringify(json)}\n\n`;
}
