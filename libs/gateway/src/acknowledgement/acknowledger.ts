import type { Acknowledgement, AcknowledgementInput } from '#libs/domain';
import {
  acknowledgeInput,
  beginAcknowledgement,
  continueAcknowledgement,
  needsPing,
} from '#libs/domain';
import type { SurfaceOutput } from '../socket/surface-output.js';
import type { SurfaceTimings } from '../surface-timings.js';

export interface AcknowledgerEvents {
  /** The client has shown that it read everything up to `seq`. */
  acknowledged(seq: number): void;
  /** No sign of life came in time after a PING. */
  unresponsive(): void;
}

/**
 * Sends PINGs and WebSocket pings to one surface, and learns from what comes back what it has read
 * and that it is there.
 */
export class Acknowledger {
  private state: Acknowledgement | null = null;
  private draining = true;
  /** Payload of the last WebSocket ping. */
  private lastPing = 0;
  /** Payload of the WebSocket ping that went with the outstanding PING. */
  private outstanding = 0;
  /** The last WebSocket ping that had been sent when the client gave a sign of life. */
  private answered = 0;
  private keepalive: NodeJS.Timeout | null = null;
  private due: NodeJS.Timeout | null = null;
  private stay: NodeJS.Timeout | null = null;

  constructor(
    private readonly output: SurfaceOutput,
    private readonly timings: SurfaceTimings,
    private readonly events: AcknowledgerEvents,
  ) {}

  /**
   * A surface has attached; no PING goes out before `drained`. Where it attaches anew on one
   * connection, what that connection has shown still holds: a PING that is outstanding is answered
   * by the next PONG, whichever attachment sent it.
   */
  begin(cursor: number, acknowledges: boolean): void {
    this.draining = true;
    this.state =
      this.state === null
        ? beginAcknowledgement(cursor, acknowledges)
        : continueAcknowledgement(this.state, cursor, acknowledges);
    if (this.state.acknowledged > cursor) this.events.acknowledged(this.state.acknowledged);
  }

  drained(): void {
    this.draining = false;
    this.keepalive ??= setInterval(() => {
      this.keepAlive();
    }, this.timings.pingEvery);
    this.outputEnded();
  }

  /** The end of a turn was written. */
  written(seq: number): void {
    this.apply({ type: 'written', seq });
  }

  /** A moment at which a PING is due for what was written. */
  outputEnded(): void {
    if (!this.draining && this.state !== null && needsPing(this.state)) this.ping();
  }

  pong(): void {
    this.alive();
    this.apply({ type: 'pong' });
    this.outputEnded();
  }

  /** The pong of a WebSocket ping. */
  libraryPong(payload: string): void {
    this.alive();
    // An older ping's, or one that nobody asked for, says nothing of what went before the
    // outstanding PING.
    if (this.state?.ping.type !== 'outstanding' || !(Number(payload) >= this.outstanding)) return;
    this.apply({ type: 'library-pong' });
    this.stay ??= setTimeout(() => {
      this.apply({ type: 'stayed' });
      this.outputEnded();
    }, this.timings.stay);
  }

  /** The client left by DETACH, 1000 or 1001. */
  closedCleanly(): void {
    this.apply({ type: 'closed-cleanly' });
  }

  stop(): void {
    clearInterval(this.keepalive ?? undefined);
    this.alive();
    this.unstay();
  }

  private apply(input: AcknowledgementInput): void {
    const before = this.state;
    if (before === null) return;
    this.state = acknowledgeInput(before, input);
    if (this.state.ping.type === 'none') this.unstay();
    if (this.state.acknowledged > before.acknowledged)
      this.events.acknowledged(this.state.acknowledged);
  }

  private keepAlive(): void {
    if (this.draining) return;
    if (this.state?.ping.type === 'outstanding') {
      // At most one PING is outstanding; the WebSocket's own ping still asks whether anybody is
      // there.
      this.askForLife(Promise.resolve());
    } else {
      this.ping();
    }
  }

  private ping(): void {
    this.apply({ type: 'pinged' });
    const written = this.output.write({ type: 'PING' });
    this.outstanding = this.lastPing + 1;
    this.askForLife(written);
  }

  private askForLife(written: Promise<unknown>): void {
    this.output.ping(String(++this.lastPing));
    // The client's time begins when the PING has left: what is before it in the way is the output's
    // own limit.
    const asked = this.lastPing;
    void written.then(() => {
      if (this.answered >= asked) return;
      this.due ??= setTimeout(() => {
        this.events.unresponsive();
      }, this.timings.pongDue);
    });
  }

  private alive(): void {
    this.answered = this.lastPing;
    clearTimeout(this.due ?? undefined);
    this.due = null;
  }

  private unstay(): void {
    clearTimeout(this.stay ?? undefined);
    this.stay = null;
  }
}
