import type { Close, ServerFrame } from '#libs/protocol';
import { Injectable } from '@nestjs/common';
import { WebSocket } from 'ws';
import type { SendOutcome } from './surface-socket.js';
import { SurfaceSocket, SurfaceSockets } from './surface-socket.js';

/** A surface on a WebSocket of the package `ws`. */
class WsSurfaceSocket extends SurfaceSocket {
  constructor(private readonly client: WebSocket) {
    super();
  }

  override get bufferedBytes(): number {
    return this.client.bufferedAmount;
  }

  override send(frame: ServerFrame): Promise<SendOutcome> {
    return new Promise((resolve) => {
      this.client.send(JSON.stringify(frame), (error) => {
        resolve(error ? 'gone' : 'written');
      });
    });
  }

  override ping(payload: string): void {
    if (this.client.readyState === WebSocket.OPEN) this.client.ping(payload);
  }

  override close({ code, reason }: Close): void {
    this.client.close(code, reason);
  }
}

@Injectable()
export class WsSurfaceSockets extends SurfaceSockets {
  override open(client: WebSocket): SurfaceSocket {
    return new WsSurfaceSocket(client);
  }
}
