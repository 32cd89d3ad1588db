import { SbpError } from '#libs/protocol';
import { currentRequest } from '#libs/telemetry';
import { LiveCounts } from './live-counts.js';

/** After how long a caller that was turned away may come back, in s. */
const RETRY_AFTER_S = 1;

/** The requests of each principal that are being answered by this process; only live ones count. */
export class RequestLoad {
  private readonly counts = new LiveCounts();

  /** `most`: of one principal at once. */
  constructor(private readonly most: number) {}

  /**
   * Counts the request in hand for its principal until it has been answered; once, however often it
   * is called for it.
   * @throws SbpError SBP_RATE_LIMITED
   */
  enter(principal: string): void {
    const request = currentRequest();
    if (request?.onEnd === undefined || counted.has(request)) return;
    if (this.counts.of(principal) >= this.most) {
      const message = `${principal} has ${this.most} requests here at once. Wait for answers.`;
      throw new SbpError('SBP_RATE_LIMITED', message, { retryAfter: RETRY_AFTER_S });
    }
    counted.add(request);
    this.counts.enter(principal);
    request.onEnd(() => this.counts.leave(principal));
  }
}

const counted = new WeakSet();
