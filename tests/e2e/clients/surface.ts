import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { ClientOptions } from 'ws';
import { ServerFrame } from '#libs/protocol';
import { Arrivals } from './waiting.js';

export type FrameOf<T extends ServerFrame['type']> = Extract<ServerFrame, { type: T }>;

export interface SessionKey {
  readonly session_id: string;
  readonly session_token: string;
}

export interface SurfaceOptions {
  readonly context?: unknown;
  /** Whether the client's library answers WebSocket pings, as all do unless told otherwise. */
  readonly autoPong?: boolean;
}

/** Says of itself that it answers each PING, so that only its PONGs count. */
export const ACKNOWLEDGES: SurfaceOptions = { context: { acknowledges: true } };

/** A surface as a user writes one on the package `ws`. It answers no PING by itself. */
export class Surface {
  /** All frames so far; each fits the contract's schema. */
  readonly frames: ServerFrame[] = [];
  /** WebSocket pings so far. */
  pings = 0;
  readonly closed: Promise<number>;
  private readonly arrivals = new Arrivals();
  private nextIndex = 0;
  private closeCode: number | null = null;

  private constructor(private readonly socket: WebSocket) {
    this.closed = new Promise((resolve) => {
      socket.on('close', (code) => {
        this.closeCode = code;
        this.arrivals.wake();
        resolve(code);
      });
    });
    socket.on('message', (data: Buffer) => {
      this.frames.push(ServerFrame.parse(JSON.parse(data.toString())));
      this.arrivals.wake();
    });
    socket.on('ping', () => {
      this.pings++;
      this.arrivals.wake();
    });
    // The close says what happened.
    socket.on('error', () => undefined);
  }

  /** Opens a socket; sends nothing. */
  static async connect(
    url: string,
    sessionId: string,
    options: ClientOptions = {},
  ): Promise<Surface> {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/sbp/ws/${sessionId}`, options);
    const surface = new Surface(socket);
    await once(socket, 'open');
    return surface;
  }

  /** Connects, attaches, and waits for SESSION_ATTACHED. */
  static async attach(
    url: string,
    key: SessionKey,
    { context, autoPong = true }: SurfaceOptions = {},
  ) {
    const surface = await Surface.connect(url, key.session_id, { autoPong });
    surface.attach(key, context);
    const attached = await surface.next('SESSION_ATTACHED');
    return Object.assign(surface, { attached });
  }

  attach({ session_id, session_token }: SessionKey, context?: unknown): void {
    const said = context === undefined ? {} : { surface_context: context };
    this.send({ type: 'ATTACH_SESSION', session_id, session_token, ...said });
  }

  send(frame: unknown): void {
    this.socket.send(JSON.stringify(frame));
  }

  sendRaw(data: string | Buffer): void {
    this.socket.send(data);
  }

  pong(): void {
    this.send({ type: 'PONG' });
  }

  /**
   * The next frame of this type among those not looked at yet; what comes before it is passed over.
   */
  async next<T extends ServerFrame['type']>(type: T): Promise<FrameOf<T>> {
    return this.arrivals.until(() => {
      const index = this.frames.findIndex(
        (frame, at) => at >= this.nextIndex && frame.type === type,
      );
      if (index < 0) {
        if (this.closeCode !== null)
          throw new Error(`closed with ${this.closeCode} before ${type}`);
        return undefined;
      }
      this.nextIndex = index + 1;
      return this.frames[index] as FrameOf<T>;
    });
  }

  /** Waits until what has come fulfils a condition. */
  async until(condition: (surface: this) => boolean): Promise<void> {
    await this.arrivals.until(() => {
      if (condition(this)) return true;
      if (this.closeCode !== null) throw new Error(`closed with ${this.closeCode} too early`);
      return undefined;
    });
  }

  of<T extends ServerFrame['type']>(type: T): readonly FrameOf<T>[] {
    return this.frames.filter((frame): frame is FrameOf<T> => frame.type === type);
  }

  /**
   * The text of an attempt so far. Each delta must begin where the one before it ended, in code
   * points.
   */
  text(chunkId: string): string {
    return this.of('TURN_CHUNK')
      .filter(({ chunk_id }) => chunk_id === chunkId)
      .reduce((text, { delta, offset }) => {
        const before = Array.from(text).length;
        if (offset !== before)
          throw new Error(`a chunk at ${offset} follows ${before} code points`);
        return text + delta;
      }, '');
  }

  /**
   * Answers the PING that follows what has come, and says nothing more: a client that has read
   * everything.
   */
  async acknowledge(): Promise<void> {
    await this.next('PING');
    this.pong();
  }

  /** Leaves by DETACH. */
  async detach(): Promise<number> {
    this.send({ type: 'DETACH' });
    return this.closed;
  }

  /** Leaves by closing the WebSocket with this code. */
  async close(code: number): Promise<number> {
    this.socket.close(code);
    return this.closed;
  }

  /** Is cut off. */
  async drop(): Promise<void> {
    this.socket.terminate();
    await this.closed;
  }
}

/** The status of an upgrade that was refused. */
export async function refusedUpgrade(
  url: string,
  path: string,
  headers: Readonly<Record<string, string>>,
) {
  const socket = new WebSocket(`${url.replace('http', 'ws')}${path}`, { headers });
  return new Promise<number | 'opened'>((resolve) => {
    socket.on('unexpected-response', (_request, response) => {
      resolve(response.statusCode ?? 0);
      socket.terminate();
    });
    socket.on('open', () => {
      resolve('opened');
      socket.terminate();
    });
    socket.on('error', () => undefined);
  });
}
