import { once } from 'node:events';
import { ServerFrame } from '#libs/protocol';
import { WebSocket } from 'ws';

type FrameOf<T extends ServerFrame['type']> = Extract<ServerFrame, { type: T }>;

/**
 * A surface as a user writes one on the package `ws`; every frame that it gets must fit the
 * contract's schema.
 */
export class TestSurface {
  /** All frames so far. */
  readonly frames: ServerFrame[] = [];
  /** WebSocket pings so far. */
  pings = 0;
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  private nextIndex = 0;
  private changed = Promise.withResolvers<undefined>();
  private closeCode: number | null = null;

  private constructor(readonly socket: WebSocket) {
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => {
        this.closeCode = code;
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
    socket.on('error', () => {
      // The close says what happened.
    });
  }

  static async connect(
    url: string,
    options: { readonly autoPong?: boolean },
  ): Promise<TestSurface> {
    const socket = new WebSocket(url, options);
    const surface = new TestSurface(socket);
    await once(socket, 'open');
    return surface;
  }

  send(frame: unknown): void {
    this.socket.send(JSON.stringify(frame));
  }

  attach(sessionId: string, sessionToken: string, context?: unknown): void {
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
    for (;;) {
      const index = this.frames.findIndex(
        (frame, at) => at >= this.nextIndex && frame.type === type,
      );
      if (index >= 0) {
        this.nextIndex = index + 1;
        return this.frames[index] as FrameOf<T>;
      }
      if (this.closeCode !== null) throw new Error(`closed with ${this.closeCode} before ${type}`);
      await this.changed.promise;
    }
  }

  /** Waits until what was seen so far fulfils a condition. */
  async until(condition: (surface: this) => boolean): Promise<void> {
    while (!condition(this)) await this.changed.promise;
  }

  of<T extends ServerFrame['type']>(type: T): readonly FrameOf<T>[] {
    return this.frames.filter((frame): frame is FrameOf<T> => frame.type === type);
  }

  /** The text of a turn's attempt so far; each chunk must begin where the one before it ended. */
  text(chunkId: string): string {
    return this.of('TURN_CHUNK')
      .filter((chunk) => chunk.chunk_id === chunkId)
      .reduce((text, { delta, offset }) => {
        const before = Array.from(text).length;
        if (offset !== before) throw new Error(`chunk at ${offset}, after ${before} code points`);
        return text + delta;
      }, '');
  }

  private wake(): void {
    this.changed.resolve(undefined);
    this.changed = Promise.withResolvers<undefined>();
  }
}
