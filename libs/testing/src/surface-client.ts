import { once } from 'node:events';
import { ServerFrame } from '#libs/protocol';
import type { WebSocket } from 'ws';

export type FrameOf<T extends ServerFrame['type']> = Extract<ServerFrame, { type: T }>;

/** How a socket was closed. */
export interface Ending {
  readonly code: number;
  readonly reason: string;
}

/**
 * A surface as a user writes one on the package `ws`. Every frame that it gets must fit the
 * contract's schema. It answers no PING by itself.
 */
export class SurfaceClient {
  /** All frames so far. */
  readonly frames: ServerFrame[] = [];
  /** WebSocket pings so far. */
  pings = 0;
  readonly ended: Promise<Ending>;
  private nextIndex = 0;
  private endedWith: number | null = null;
  private changed = Promise.withResolvers<undefined>();

  protected constructor(readonly socket: WebSocket) {
    this.ended = new Promise((resolve) => {
      socket.on('close', (code, reason) => {
        this.endedWith = code;
        this.wake();
        resolve({ code, reason: reason.toString() });
      });
    });
    socket.on('message', (data: Buffer) => {
      this.frames.push(ServerFrame.parse(JSON.parse(data.toString())));
      this.wake();
    });
    socket.on('ping', () => {
      this.pings++;
      this.wake();
    });
    // The close says what happened.
    socket.on('error', () => undefined);
  }

  send(frame: unknown): void {
    this.socket.send(JSON.stringify(frame));
  }

  /** Asks to attach; without a context, with none at all. */
  askToAttach(sessionId: string, sessionToken: string, context?: unknown): void {
    this.send({
      type: 'ATTACH_SESSION',
      session_id: sessionId,
      session_token: sessionToken,
      ...(context === undefined ? {} : { surface_context: context }),
    });
  }

  /**
   * The next frame of this type among those not looked at yet; what comes before it is passed over.
   */
  async next<T extends ServerFrame['type']>(type: T): Promise<FrameOf<T>> {
    const found = (): number =>
      this.frames.findIndex((frame, at) => at >= this.nextIndex && frame.type === type);
    await this.until(() => found() >= 0, type);
    const index = found();
    this.nextIndex = index + 1;
    return this.frames[index] as FrameOf<T>;
  }

  /** Waits until what has come fulfils a condition; fails where the socket is closed before. */
  async until(condition: (surface: this) => boolean, what = 'what was waited for'): Promise<void> {
    while (!condition(this)) {
      if (this.endedWith !== null) throw new Error(`closed with ${this.endedWith} before ${what}`);
      await this.changed.promise;
    }
  }

  of<T extends ServerFrame['type']>(type: T): readonly FrameOf<T>[] {
    return this.frames.filter((frame): frame is FrameOf<T> => frame.type === type);
  }

  /**
   * The text of a turn's attempt so far. Each chunk must begin where the one before it ended, in
   * code points.
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

  /** Resolves when the socket is open; nothing was sent then. */
  protected async opened(): Promise<this> {
    await once(this.socket, 'open');
    return this;
  }

  private wake(): void {
    this.changed.resolve(undefined);
    this.changed = Promise.withResolvers<undefined>();
  }
}

/** Where the surfaces of a session connect, at the HTTP address of a server. */
export function surfaceUrl(serverUrl: string, sessionId: string): string {
  return `${serverUrl.replace('http', 'ws')}/v1/sbp/ws/${sessionId}`;
}
