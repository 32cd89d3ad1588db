import { Injectable } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import { Claims } from '#libs/store';

/** Pause before a release is tried again while the database does not answer, in ms. */
const RETRY_MS = 500;

/**
 * Releases claims, and tells those who wait for a busy session; releases of other processes are
 * found by trying.
 */
@Injectable()
export class SessionReleases {
  private readonly waiting = new Map<string, Set<() => void>>();

  constructor(private readonly claims: Claims) {}

  /**
   * False if the claim is not held at this epoch any more. Never gives up: a claim of a living
   * process that nobody releases would block its session for ever.
   */
  async release(sessionId: string, epoch: number, head: number | null): Promise<boolean> {
    for (;;) {
      try {
        const released = await this.claims.release(sessionId, epoch, head);
        for (const wake of this.waiting.get(sessionId) ?? []) wake();
        return released;
      } catch {
        await delay(RETRY_MS);
      }
    }
  }

  /** Resolves at the session's next release here, or after `timeoutMs`. */
  async wait(sessionId: string, timeoutMs: number): Promise<void> {
    const waiters = this.waiting.get(sessionId) ?? new Set();
    this.waiting.set(sessionId, waiters);
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        waiters.delete(wake);
        if (waiters.size === 0 && this.waiting.get(sessionId) === waiters)
          this.waiting.delete(sessionId);
        resolve();
      };
      const timer = setTimeout(wake, timeoutMs);
      waiters.add(wake);
    });
  }
}
