import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Behaviour = (request: IncomingMessage, response: ServerResponse) => void;

/** A service that only tells what reached it. */
export class StubService {
  readonly received: IncomingMessage[] = [];
  behaviour: Behaviour = tell;
  private readonly server: Server = createServer();

  constructor(readonly name: string) {
    this.server.on('request', (request, response) => {
      this.received.push(request);
      response.setHeader('x-stub', name);
      this.behaviour(request, response);
    });
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  get address(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    await new Promise((resolve) => this.server.close(resolve).closeAllConnections());
  }
}

/** Reads the request, and answers with the length of its body. */
export const tell: Behaviour = (request, response) => {
  let bytes = 0;
  request.on('data', (part: Buffer) => (bytes += part.length));
  request.on('end', () => response.end(JSON.stringify({ bytes })));
};

/** Reads the request, and breaks the connection: nobody knows what was done. */
export const breakOff: Behaviour = (request) => {
  request.on('end', () => request.socket.destroy()).resume();
};
