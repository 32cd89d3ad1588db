import type { SendOutcome } from '#libs/gateway';
import { SurfaceSocket, SurfaceSockets, WsSurfaceSockets } from '#libs/gateway';
import type { Close, ServerFrame } from '#libs/protocol';
import type { WebSocket } from 'ws';
import type { KillPoints } from './kill-points.js';
import type { WorkWriter } from './work-writer.js';

/** Sockets with their kill points, and notes of how many surfaces are attached. */
export class WatchedSockets extends SurfaceSockets {
  private readonly inner = new WsSurfaceSockets();

  constructor(
    private readonly points: KillPoints,
    private readonly work: WorkWriter,
  ) {
    super();
  }

  override open(client: WebSocket): SurfaceSocket {
    const attached = (): void => {
      if (client.readyState !== client.OPEN) return;
      this.work.note({ note: 'begun', work: 'surface' });
      client.once('close', () => this.work.note({ note: 'done', work: 'surface' }));
    };
    return new WatchedSocket(this.inner.open(client), this.points, attached);
  }
}

class WatchedSocket extends SurfaceSocket {
  /**
   * After this many of the announced TETHER_TURNs the drain is half done; Infinity where there are
   * not several.
   */
  private halfDrained = Infinity;

  constructor(
    private readonly inner: SurfaceSocket,
    private readonly points: KillPoints,
    private readonly attached: () => void,
  ) {
    super();
  }

  override get bufferedBytes(): number {
    return this.inner.bufferedBytes;
  }

  override async send(frame: ServerFrame): Promise<SendOutcome> {
    if (frame.type === 'SESSION_ATTACHED') {
      this.attached();
      this.points.pass('A2');
      this.halfDrained = frame.queued_turns > 1 ? Math.ceil(frame.queued_turns / 2) : Infinity;
    }
    if (frame.type === 'TOOL_CALL') this.points.pass('S3');
    const outcome = await this.inner.send(frame);
    if (frame.type === 'TOOL_CALL' && outcome === 'written') this.points.pass('S7');
    if (
      frame.type === 'TETHER_TURN' &&
      outcome === 'written' &&
      frame.turn_index + 1 === this.halfDrained
    ) {
      this.points.pass('A3');
    }
    return outcome;
  }

  override ping(payload: string): void {
    this.inner.ping(payload);
  }

  override close(close: Close): void {
    this.inner.close(close);
  }
}
