import type { SessionState } from '#libs/domain';
import type { MailboxMessage } from '#libs/mailbox';
import { SessionQuarantined, SessionReads } from '#libs/store';
import { SessionReleases } from '#libs/session-log';
import { Injectable } from '@nestjs/common';

/**
 * What has come of a turn that waits. `next`: nothing runs, and it is the head of the queue;
 * `left`: it waits no more, because somebody started or withdrew it; `closing`: this process ends.
 */
export type Turnout = 'next' | 'left' | 'closing';

interface Waiter {
  readonly turnId: string;
  readonly tell: (turnout: Turnout) => void;
  readonly fail: (error: Error) => void;
}

/** A session is looked at at least so often while somebody waits in it, in ms. */
const LONGEST_MS = 5_000;

/** The waiters of one session, who share a look at it. */
interface Watched {
  readonly waiters: Set<Waiter>;
  isLooking: boolean;
  /** Something changed while it was looked at. */
  isStale: boolean;
  /** In ms of a clock that only rises. */
  lookedAt: number;
  /** The turns that wait, as they were seen last. */
  order: readonly string[];
}

/**
 * The turns that this process holds while they wait. It looks at their sessions when it is told to:
 * by the projector's poke, or by the scan where that was lost [A14]. Now and then it looks by
 * itself, because whoever waits for what will not happen any more must learn that, too.
 */
@Injectable()
export class WaitingTurns {
  private readonly sessions = new Map<string, Watched>();
  private isClosing = false;

  constructor(
    private readonly reads: SessionReads,
    releases: SessionReleases,
  ) {
    releases.onRelease((sessionId) => this.released(sessionId));
  }

  /** A message of this process' mailbox; those of other kinds are somebody else's. */
  accept(message: MailboxMessage): void {
    if (message.type === 'poke') this.wake(message.session_id);
  }

  /** Something may have changed in the queue of a session. */
  wake(sessionId: string): void {
    const watched = this.sessions.get(sessionId);
    if (watched !== undefined) void this.look(sessionId, watched);
  }

  /** Looks at the sessions that were not looked at for long: a poke may have been lost [A8]. */
  sweep(): void {
    const before = performance.now() - LONGEST_MS;
    for (const [sessionId, watched] of this.sessions) {
      if (watched.lookedAt < before) void this.look(sessionId, watched);
    }
  }

  /** From now on nobody waits here. */
  close(): void {
    this.isClosing = true;
    for (const { waiters } of this.sessions.values()) {
      for (const { tell } of waiters) tell('closing');
    }
  }

  /** Looks at once, and then whenever something changes. @throws SessionQuarantined */
  async turnout(sessionId: string, turnId: string): Promise<Turnout> {
    if (this.isClosing) return 'closing';
    const { promise, resolve, reject } = Promise.withResolvers<Turnout>();
    const watched = this.sessions.get(sessionId) ?? newlyWatched();
    this.sessions.set(sessionId, watched);
    const waiter = { turnId, tell: resolve, fail: reject };
    watched.waiters.add(waiter);
    void this.look(sessionId, watched);
    try {
      return await promise;
    } finally {
      watched.waiters.delete(waiter);
      if (watched.waiters.size === 0) this.sessions.delete(sessionId);
    }
  }

  /**
   * A turn of the session has ended here. Whoever seems to be the next need not wait for the fold
   * and its poke: while that is behind the release the session can be claimed, and then it is
   * looked at again.
   */
  private released(sessionId: string): void {
    const { waiters = [], order = [] } = this.sessions.get(sessionId) ?? {};
    for (const { turnId, tell } of waiters) if (turnId === order[0]) tell('next');
  }

  private async look(sessionId: string, watched: Watched): Promise<void> {
    watched.isStale = true;
    if (watched.isLooking) return;
    watched.isLooking = true;
    // Everybody may set it while it is awaited.
    const stale = (): boolean => watched.isStale;
    while (stale()) {
      watched.isStale = false;
      watched.lookedAt = performance.now();
      const state = await this.reads.state(sessionId).catch((error: unknown) => {
        // Nothing happens in it before an operator has done something [A12].
        if (error instanceof SessionQuarantined)
          for (const { fail } of watched.waiters) fail(error);
        return null;
      });
      // The next sweep finds them where the database does not answer now.
      if (state === null) break;
      watched.order = state.phase === 'open' ? state.waiting.map(({ turnId }) => turnId) : [];
      for (const waiter of watched.waiters) tell(waiter, state);
    }
    watched.isLooking = false;
  }
}

function newlyWatched(): Watched {
  return { waiters: new Set(), isLooking: false, isStale: false, lookedAt: 0, order: [] };
}

function tell({ turnId, tell }: Waiter, state: SessionState): void {
  if (state.phase !== 'open') return;
  const { turn, waiting } = state;
  if (!waiting.some((other) => other.turnId === turnId)) tell('left');
  else if (turn === null && waiting[0]?.turnId === turnId) tell('next');
}
