import type { Close, ServerFrame } from '#libs/protocol';
import type { FrameTurn } from './aliases.js';
import { withAliases } from './aliases.js';
import type { SendOutcome, SurfaceSocket } from './surface-socket.js';
import type { SurfaceTimings } from '../surface-timings.js';

/** What is written to a surface, until it ends; it notices a client that does not read. */
export class SurfaceOutput {
  /** Whether frames carry their fields under their second names too. */
  aliases = true;
  private ended = false;

  constructor(
    private readonly sessionId: string,
    private readonly socket: SurfaceSocket,
    private readonly timings: SurfaceTimings,
    /** Called once per frame that did not leave in time. */
    private readonly onStalled: () => void,
  ) {}

  /** As `SurfaceSocket.send`; `gone` after the end. `turn`: of a turn's frame. */
  async write(frame: ServerFrame, turn: FrameTurn | null = null): Promise<SendOutcome> {
    if (this.ended) return 'gone';
    const sent = this.send(frame, turn);
    const { bufferedBytes } = this.socket;
    if (bufferedBytes === 0) return sent;
    const { write, slowestReader } = this.timings;
    const timer = setTimeout(this.onStalled, write + Math.ceil(bufferedBytes / slowestReader));
    const outcome = await sent;
    clearTimeout(timer);
    return outcome;
  }

  ping(payload: string): void {
    if (!this.ended) this.socket.ping(payload);
  }

  /** Nothing is written after it. */
  end(): void {
    this.ended = true;
  }

  /** Ends, and closes the socket; with a last frame that says why, if there is one. */
  close(close: Close, farewell: ServerFrame | null = null): void {
    this.ended = true;
    // Whether it arrives is the client's loss only: the close code says the same.
    if (farewell !== null) void this.send(farewell, null);
    this.socket.close(close);
  }

  private send(frame: ServerFrame, turn: FrameTurn | null): Promise<SendOutcome> {
    return this.socket.send(this.aliases ? withAliases(frame, this.sessionId, turn) : frame);
  }
}
