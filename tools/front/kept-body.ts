import type { IncomingMessage } from 'node:http';
import type { Writable } from 'node:stream';
import { LIMITS } from '#libs/protocol';

/**
 * The body of a request, passed on as it comes and kept meanwhile, so that it can be sent to
 * another replica when the first one had not begun. What is longer than the services take is not
 * kept, and cannot be sent twice.
 */
export class KeptBody {
  private kept: Buffer[] = [];
  private bytes = 0;
  private ended = false;
  private target: Writable | null = null;
  private whole = true;

  constructor(private readonly request: IncomingMessage) {
    request.pause();
    request.on('data', (chunk: Buffer) => this.take(chunk));
    request.on('end', () => {
      this.ended = true;
      this.target?.end();
    });
  }

  /** Whether all that came so far can be sent again. */
  get isWhole(): boolean {
    return this.whole;
  }

  /** Sends what came so far, then the rest as it comes. Only while it is whole. */
  sendTo(target: Writable): void {
    this.target = target;
    for (const chunk of this.kept) target.write(chunk);
    if (this.ended) target.end();
    else this.request.resume();
  }

  /** Waits for another target. */
  detach(): void {
    this.target = null;
    this.request.pause();
  }

  /** Passes the rest on without keeping it: it will not be sent again. */
  keepNoMore(): void {
    this.whole = false;
    this.kept = [];
  }

  /** Reads the rest and drops it, so that the connection can be used on. */
  discard(): void {
    this.keepNoMore();
    this.target = null;
    this.request.resume();
  }

  private take(chunk: Buffer): void {
    this.bytes += chunk.length;
    if (this.bytes > LIMITS.requestBody) this.keepNoMore();
    if (this.whole) this.kept.push(chunk);
    const { target, request } = this;
    if (target === null || target.write(chunk)) return;
    request.pause();
    target.once('drain', () => {
      if (this.target === target) request.resume();
    });
  }
}
