import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

/**
 * A TCP relay before a server that breaks the first connection over which the server said `words`,
 * as soon as the client has them, so that no answer to them arrives.
 */
export class BreakingRelay {
  /** How often the server said them. */
  heard = 0;
  private readonly sockets = new Set<Socket>();
  private readonly server: Server;

  private constructor(
    private readonly words: string,
    private readonly port: number,
  ) {
    this.server = createServer((client) => this.accept(client));
  }

  static async before(url: string, words: string): Promise<BreakingRelay> {
    const relay = new BreakingRelay(words, Number(new URL(url).port));
    relay.server.listen(0, '127.0.0.1');
    await once(relay.server, 'listening');
    return relay;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
    await once(this.server, 'close');
  }

  private accept(client: Socket): void {
    const server = connect(this.port, '127.0.0.1');
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.sockets.add(one);
      one.on('error', () => undefined);
      one.on('close', () => {
        this.sockets.delete(one);
        other.destroy();
      });
    }
    client.on('data', (bytes) => server.write(bytes));
    server.on('data', (bytes) => {
      client.write(bytes);
      if (!bytes.includes(this.words)) return;
      this.heard += 1;
      // From here on nothing of the client's passes; it is let go when it has all of this.
      if (this.heard === 1) client.removeAllListeners('data').end();
    });
  }
}
