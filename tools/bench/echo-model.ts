import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** As long as a short paragraph. */
const ANSWER = 'Certainly: this is an answer of the length that answers have. '.repeat(4);

/**
 * A model in this process that answers at once, reads no more of a request than its bytes, and
 * keeps the last one, so that the same can be asked of it directly.
 */
export class EchoModel {
  /** The body of the last request. */
  lastBody = Buffer.alloc(0);

  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  static async start(): Promise<EchoModel> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const model = new EchoModel(server, `http://127.0.0.1:${port}`);
    const message = { role: 'assistant', content: ANSWER };
    const choices = [{ index: 0, message, finish_reason: 'stop' }];
    const usage = { prompt_tokens: 1, completion_tokens: 60 };
    const answer = JSON.stringify({
      id: 'e',
      object: 'chat.completion',
      model: 'e',
      choices,
      usage,
    });
    server.on('request', (request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        model.lastBody = Buffer.concat(parts);
        response.writeHead(200, {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(answer),
        });
        response.end(answer);
      });
    });
    return model;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }
}
