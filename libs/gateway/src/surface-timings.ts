import { LIMITS } from '#libs/protocol';
import { STAY_MS } from '#libs/domain';

/**
 * How long the parts of a surface's connection may take, in ms; a provider, so that tests need not
 * wait.
 */
export class SurfaceTimings {
  /** From the upgrade to the first frame. */
  readonly firstFrame: number = LIMITS.attachTimeoutMs;
  /** From ATTACH_SESSION to SESSION_ATTACHED: all that the log and the database do for it. */
  readonly attach: number = 15_000;
  /** For the database to answer one read of what a socket is owed. */
  readonly read: number = 15_000;
  /** Between keepalive PINGs. */
  readonly pingEvery: number = 25_000;
  /** From a PING to a sign of life. */
  readonly pongDue: number = 10_000;
  /** How long a client must stay after its library's pong for it to count. */
  readonly stay: number = STAY_MS;
  /** For a frame to leave, besides the time that the slowest reader takes for all that waits. */
  readonly write: number = 10_000;
  /** The slowest reader that is waited for, in bytes per ms. */
  readonly slowestReader: number = 64;
  /**
   * How long a socket stays open for the log to acknowledge its DETACH, and a shutdown waits for
   * all of them.
   */
  readonly detach: number = 5_000;
  /** Between sweeps. */
  readonly sweep: number = 5_000;

  constructor(others: Partial<SurfaceTimings> = {}) {
    Object.assign(this, others);
  }
}
