import { Injectable } from '@nestjs/common';
import type { Release } from '#libs/store';
import { Claims } from '#libs/store';
import { pause } from '#libs/timing';

/** Pause before a release is tried again while the database does not answer, in ms. */
const RETRY_MS = 500;

/**
 * Releases claims, and tells those who wait for a busy session; releases of other processes are
 * found by trying.
 */
@Injectable()
export class SessionReleases {
  private readonly waiting = new Map<string, Set<() => void>>();
  private readonly listeners: ((sessionId: string) => void)[] = [];

  constructor(private readonly claims: Claims) {}

  /**
   * False if the claim is not held at this epoch any more. Never gives up, because a claim of a
   * living process that nobody releases would block its session.
   */
  async release(release: Release): Promise<boolean> {
    for (;;) {
      try {
        const released = await this.claims.release(release);
        for (const wake of this.waiting.get(release.sessionId) ?? []) wake();
        if (released) for (const tell of this.listeners) tell(release.sessionId);
        return released;
      } catch {
        await pause(RETRY_MS);
      }
    }
  }

  /** Is told of each session whose claim is let go here. */
  onRelease(listener: (sessionId: string) => void): void {
    this.listeners.push(listener);
  }

  /** Resolves at the session's next release here, or after `timeoutMs`. */
  async wait(sessionId: string, timeoutMs: number): Promise<void> {
    const waiters = this.waiting.get(sessionId) ?? new Set();
    this.waiting.set(sessionId, waiters);
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        waiters.delete(wake);
        if (waiters.size === 0 && this.waiting.get(sessionId) === waiters) {
          this.waiting.delete(sessionId);
        }
        resolve();
      };
      const timer = setTimeout(wake, timeoutMs);
      waiters.add(wake);
    });
  }
}
