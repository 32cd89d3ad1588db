import { once } from 'node:events';
import type { ServerFrame } from '#libs/protocol';
import { WebSocket } from 'ws';
import type { DeathOfSurface } from './device.js';
import { Device } from './device.js';
import type { Connection, ConnectionEvent } from './history.js';

/** The tool that every surface has, and how long it takes, in ms. */
export const TOOL = 'counter';
const TOOL_MS = 20;

export interface SurfaceAddress {
  /** HTTP address of a gateway, or of the front. */
  readonly url: string;
  readonly id: string;
  readonly token: string;
}

export interface SurfaceHabits {
  /** When each PING is answered by PONG, in ms after it came; null: never. */
  readonly pongAfterMs: number | null;
  readonly device?: Device;
  /** Where it dies, the first time that it comes there. */
  readonly diesAt?: DeathOfSurface | null;
}

/** One WebSocket of a surface that writes down all that it sends and receives. */
export class Surface {
  readonly openedAt = Date.now();
  /** Resolves when the socket is closed. */
  readonly closed: Promise<void>;
  /** When each PING is answered by PONG, in ms after it came; null: never. */
  pongAfterMs: number | null;
  private readonly events: ConnectionEvent[] = [];
  private readonly answered: string[] = [];
  private diedAt: DeathOfSurface | null = null;
  private closedAt = 0;
  private closeCode = 1006;
  private hasDetached = false;
  private changed = Promise.withResolvers<undefined>();

  private constructor(
    private readonly name: string,
    private readonly socket: WebSocket,
    private readonly device: Device,
    private readonly diesAt: DeathOfSurface | null,
    pongAfterMs: number | null,
  ) {
    this.pongAfterMs = pongAfterMs;
    socket.on('message', (data: Buffer) =>
      this.receive(JSON.parse(data.toString()) as ServerFrame),
    );
    // An error is followed by its close.
    socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => {
      socket.once('close', (code) => {
        this.closedAt = Date.now();
        this.closeCode = code;
        this.wake();
        resolve();
      });
    });
  }

  /** Connects and asks to be attached; null where nobody takes the connection. */
  static async attach(
    name: string,
    address: SurfaceAddress,
    { pongAfterMs, device = new Device(), diesAt = null }: SurfaceHabits,
  ): Promise<Surface | null> {
    const socket = new WebSocket(`${address.url.replace(/^http/, 'ws')}/v1/sbp/ws/${address.id}`);
    const surface = new Surface(name, socket, device, diesAt, pongAfterMs);
    try {
      await once(socket, 'open');
    } catch {
      return null;
    }
    surface.send('ATTACH_SESSION', {
      session_id: address.id,
      session_token: address.token,
      surface_context: { device_type: 'chaos', acknowledges: true, mcp_tools: [TOOL] },
    });
    return surface;
  }

  get isOpen(): boolean {
    return this.closedAt === 0;
  }

  /** When SESSION_ATTACHED came; null before. */
  get attachedAt(): number | null {
    return (
      this.events.find(
        (event) => event.type === 'received' && event.frame.type === 'SESSION_ATTACHED',
      )?.at ?? null
    );
  }

  get frames(): readonly ServerFrame[] {
    return this.events.flatMap((event) => (event.type === 'received' ? [event.frame] : []));
  }

  /** All that SESSION_ATTACHED announced came, and a PING after it was answered. */
  get isDrained(): boolean {
    const [first] = this.frames;
    if (first?.type !== 'SESSION_ATTACHED') return false;
    const isTether = ({ frame }: ConnectionEvent): boolean =>
      typeof frame !== 'string' && frame.type === 'TETHER_TURN';
    if (this.events.filter(isTether).length < first.queued_turns) return false;
    const last = this.events.findLastIndex(isTether);
    return last < 0 || this.events.slice(last).some(({ frame }) => frame === 'PONG');
  }

  /** Waits for a condition; false when the socket closes before, or after `timeoutMs`. */
  async until(condition: () => boolean, timeoutMs: number): Promise<boolean> {
    const deadline = Date.now() + timeoutMs;
    while (!condition()) {
      const left = deadline - Date.now();
      if (!this.isOpen || left <= 0) return false;
      const timer = setTimeout(() => this.wake(), left);
      await this.changed.promise;
      clearTimeout(timer);
    }
    return true;
  }

  /** Leaves properly; the server closes. */
  async detach(): Promise<void> {
    if (this.isOpen) this.send('DETACH', {});
    await this.closed;
  }

  /** Closes the WebSocket with 1000. */
  async leave(): Promise<void> {
    this.socket.close(1000);
    await this.closed;
  }

  /** Is gone from one moment to the next. */
  async vanish(): Promise<void> {
    this.socket.terminate();
    await this.closed;
  }

  history(): Connection {
    const { name: id, openedAt } = this;
    return {
      id,
      openedAt,
      events: this.events,
      answered: this.answered,
      diedAt: this.diedAt,
      closedAt: this.closedAt || Date.now(),
      closeCode: this.closeCode,
    };
  }

  private receive(frame: ServerFrame): void {
    this.events.push({ type: 'received', at: Date.now(), frame });
    this.wake();
    if (frame.type === 'TOOL_CALL') this.answer(frame.call_id);
    if (frame.type !== 'PING' || this.pongAfterMs === null) return;
    if (this.pongAfterMs === 0) this.send('PONG', {});
    else setTimeout(() => this.send('PONG', {}), this.pongAfterMs);
  }

  /** Tells the call's id back, so that whoever is told it shows that it came from here. */
  private answer(callId: string): void {
    const count = this.device.count(callId);
    if (this.dies('call')) return;
    setTimeout(() => {
      if (this.socket.readyState !== WebSocket.OPEN || this.hasDetached) return;
      this.answered.push(callId);
      const result = { told: callId, count };
      this.socket.send(JSON.stringify({ type: 'TOOL_RESULT', call_id: callId, result }), () => {
        this.dies('result');
      });
    }, TOOL_MS);
  }

  private dies(at: DeathOfSurface): boolean {
    if (this.diesAt !== at || !this.isOpen) return false;
    this.diedAt = at;
    this.socket.terminate();
    return true;
  }

  private send(type: 'ATTACH_SESSION' | 'PONG' | 'DETACH', fields: object): void {
    if (this.socket.readyState !== WebSocket.OPEN || this.hasDetached) return;
    this.hasDetached = type === 'DETACH';
    this.events.push({ type: 'sent', at: Date.now(), frame: type });
    this.socket.send(JSON.stringify({ type, ...fields }));
    this.wake();
  }

  private wake(): void {
    this.changed.resolve(undefined);
    this.changed = Promise.withResolvers<undefined>();
  }
}
