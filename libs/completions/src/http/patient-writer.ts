import type { ServerResponse } from 'node:http';

/** How far a reader may lag behind what is written. */
export interface Patience {
  /** Bytes of a stream that may wait when more of it comes. */
  readonly unsentBytes: number;
  /** How long nothing of what waits may leave, in ms. */
  readonly stillMs: number;
}

export const PATIENCE: Patience = { unsentBytes: 1024 * 1024, stillMs: 30_000 };

/** The most bytes that the connection is given at once, so that it is seen how they leave. */
const PIECE_BYTES = 64 * 1024;

/**
 * Writes a response's body to a reader that may be slow. What it does not read waits here, because
 * a model is not held up by whoever reads its answer [A15]; so a reader that lags too far behind is
 * given up: its connection is destroyed, and all that waits with it. One that is slow but steady is
 * not.
 */
export class PatientWriter {
  private waiting: Buffer[] = [];
  private waitingBytes = 0;
  /** Bytes that the connection has been given and not taken. */
  private givenBytes = 0;
  private last: {
    readonly then: 'end' | 'break';
    readonly sent: (isSent: boolean) => void;
  } | null = null;
  /** Runs while bytes wait; whatever leaves starts it anew. */
  private stillTimer: NodeJS.Timeout | null = null;
  private isOver = false;

  constructor(
    private readonly response: ServerResponse,
    private readonly patience: Patience,
    /** Called once the reader is given up. */
    private readonly onGivenUp: () => void,
  ) {
    response.on('close', () => this.stop());
  }

  /** More of a stream. */
  stream(text: string): void {
    // Looked at before this text is added, so that a long one does not count against the reader.
    if (this.waitingBytes + this.givenBytes > this.patience.unsentBytes) this.giveUp();
    else this.add(Buffer.from(text));
  }

  /**
   * The last bytes, and the end: a clean one, or a connection that breaks off behind them. Resolves
   * whether all of it could be written; never where the connection closes before.
   */
  finish(last: string | Buffer, then: 'end' | 'break'): Promise<boolean> {
    return new Promise((sent) => {
      this.last = { then, sent };
      this.add(Buffer.from(last));
    });
  }

  private add(bytes: Buffer): void {
    if (this.isOver) return;
    this.waiting.push(bytes);
    this.waitingBytes += bytes.length;
    this.stillTimer ??= setTimeout(() => this.giveUp(), this.patience.stillMs);
    if (this.givenBytes === 0) this.giveNext();
  }

  private giveNext(): void {
    const piece = this.take();
    const { last } = this;
    const isLast = last !== null && this.waitingBytes === 0;
    this.givenBytes = piece.length;
    // Not `end(piece, …)`: Node reports a response as finished also when its connection broke with
    // bytes still waiting.
    this.response.write(piece, (failure) => {
      this.givenBytes = 0;
      const isSent = failure === undefined || failure === null;
      if (isLast) {
        this.stop();
        last.sent(isSent);
        if (last.then === 'break') this.response.destroy();
      } else if (isSent) {
        this.taken();
      }
    });
    if (isLast && last.then === 'end') this.response.end();
  }

  private taken(): void {
    if (this.isOver) return;
    if (this.waitingBytes === 0) {
      clearTimeout(this.stillTimer ?? undefined);
      this.stillTimer = null;
    } else {
      this.stillTimer?.refresh();
      this.giveNext();
    }
  }

  private take(): Buffer {
    const [first = Buffer.alloc(0)] = this.waiting;
    const all = this.waiting.length === 1 ? first : Buffer.concat(this.waiting);
    const piece = all.subarray(0, PIECE_BYTES);
    const rest = all.subarray(piece.length);
    this.waiting = rest.length === 0 ? [] : [rest];
    this.waitingBytes = rest.length;
    return piece;
  }

  private giveUp(): void {
    if (this.isOver) return;
    this.stop();
    this.onGivenUp();
    this.response.destroy();
  }

  private stop(): void {
    this.isOver = true;
    clearTimeout(this.stillTimer ?? undefined);
    this.waiting = [];
    this.waitingBytes = 0;
  }
}
