import { HEARTBEAT_MS, LEASE_MS } from './processes.js';

/**
 * Whether this process has been in touch with the database without a break for one lease. Who was
 * not must not judge others dead: after an outage of the database everybody looks silent [A6].
 */
export class Continuity {
  private begun: number | null = null;
  private last = 0;

  /** The database has answered, `now` in ms of a clock that only rises. */
  answered(now: number): void {
    if (this.begun === null || now - this.last > 3 * HEARTBEAT_MS) this.begun = now;
    this.last = now;
  }

  /** The database did not answer. */
  failed(): void {
    this.begun = null;
  }

  holds(now: number): boolean {
    return (
      this.begun !== null && now - this.begun >= LEASE_MS && now - this.last <= 3 * HEARTBEAT_MS
    );
  }
}
