import type { AddressInfo, Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';

/** A TCP proxy before a server, whose network fails when it is told to. */
export class FaultyNetwork {
  private readonly sockets = new Set<Socket>();
  private readonly server: Server;
  private swallows = false;

  private constructor(private readonly target: { readonly host: string; readonly port: number }) {
    this.server = createServer((client) => this.accept(client));
  }

  /** Gives the proxy, and the URL of the server through it. */
  static async before(url: string): Promise<{ network: FaultyNetwork; url: string }> {
    const through = new URL(url);
    const network = new FaultyNetwork({ host: through.hostname, port: Number(through.port) });
    await new Promise<void>((listening) => network.server.listen(0, '127.0.0.1', listening));
    through.hostname = '127.0.0.1';
    through.port = String((network.server.address() as AddressInfo).port);
    return { network, url: through.href };
  }

  /** From now on connections stay open and no byte passes, also on those that come. */
  swallow(): void {
    this.swallows = true;
    for (const socket of this.sockets) socket.pause();
  }

  /** Breaks all connections. */
  cut(): void {
    for (const socket of this.sockets) socket.resetAndDestroy();
  }

  /** Lets new connections pass; those of the fault stay dead, as after a reboot of a router. */
  heal(): void {
    this.swallows = false;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((closed) => this.server.close(closed));
  }

  private accept(client: Socket): void {
    const server = connect(this.target);
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
      one.on('data', (bytes) => other.write(bytes));
      if (this.swallows) one.pause();
    }
  }
}
