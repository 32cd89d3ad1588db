import { randomUUID } from 'node:crypto';
import type { OpenSession, PlainCommand } from '#libs/domain';
import type { Actor } from '#libs/protocol';
import { SbpError } from '#libs/protocol';
import { Claims, Freshness, ProcessIdentity, SessionReads } from '#libs/store';
import { within } from '#libs/timing';
import { Injectable } from '@nestjs/common';
import type { Executed } from './session-log.js';
import { SessionLog } from './session-log.js';
import { SessionReleases } from './session-releases.js';

/** How long what is to be done to a session waits for a turn in flight, in ms. */
const TURN_MS = 30_000;
/** How often it looks meanwhile, in ms; releases in its own process wake it at once. */
const RETRY_MS = 50;
/** How long the fold may take, in ms. */
const FOLD_MS = 15_000;
/** How long one try may take before its caller is answered, in ms; it goes on. */
const ATTEMPT_MS = 20_000;

/** A session that nothing runs in, while a claim keeps it so. */
export interface HeldSession {
  readonly epoch: number;
  readonly state: OpenSession;
}

/** One thing that is to be done to a session between its turns. */
export interface MaintenanceWork {
  readonly sessionId: string;
  readonly by: Actor;
  /** What is to be stated; null for nothing. @throws SbpError: it may not be done */
  readonly command: (held: HeldSession) => PlainCommand | null;
  /** Whether the fold shows it: if not, a rival had acted in between, and it is tried again. */
  readonly isDone: (state: OpenSession) => boolean;
}

/**
 * Does to a session what may not be done while a turn runs: takes a claim of its own, as a turn
 * would, states one owned event, and waits for the fold [A13]. If this process dies meanwhile, the
 * claim is taken over and let go, as a dead turn's is; the event is in the log then, or never.
 */
@Injectable()
export class Maintenance {
  constructor(
    private readonly claims: Claims,
    private readonly releases: SessionReleases,
    private readonly sessionLog: SessionLog,
    private readonly freshness: Freshness,
    private readonly reads: SessionReads,
    private readonly identity: ProcessIdentity,
  ) {}

  /**
   * The session as it is then.
   * @throws SbpError SBP_SESSION_CONFLICT where a turn is still in flight after 30 s;
   *   SBP_UPSTREAM_UNAVAILABLE where the log or the fold does not answer; what `command` throws
   */
  async perform(work: MaintenanceWork): Promise<OpenSession> {
    const { sessionId } = work;
    const deadline = performance.now() + TURN_MS;
    for (;;) {
      const attempt = this.attempt(work);
      const done = await within(attempt, ATTEMPT_MS);
      if (done === 'late') throw notReadable();
      if (done !== null) return done;
      if (performance.now() > deadline) throw turnInFlight();
      await this.releases.wait(sessionId, RETRY_MS);
    }
  }

  /** Null where it cannot be done now. */
  private async attempt(work: MaintenanceWork): Promise<OpenSession | null> {
    const { sessionId } = work;
    const turnId = randomUUID();
    const target = { type: 'session', sessionId, principal: null } as const;
    const runner = this.identity.address;
    const claim = await this.claims.claim({ target, turnId, runner, beforeWaiting: true });
    if (claim.type !== 'claimed') return null;
    const { epoch } = claim;
    let stated: Executed | null = null;
    try {
      await this.freshness.foldedUpTo(sessionId, claim.head);
      const state = await this.reads.state(sessionId);
      if (state.phase !== 'open' || state.turn !== null) return null;
      const command = work.command({ epoch, state });
      if (command === null) return state;
      // However long the log takes: the claim is held until it is known whether it has the event.
      stated = await this.sessionLog.execute({ sessionId, state, by: work.by, command });
      return await this.folded(stated, work);
    } finally {
      const head = stated?.type === 'appended' ? stated.position.offset : null;
      await this.releases.release({ sessionId, turnId, epoch, head, answeredBy: null });
    }
  }

  private async folded(stated: Executed, work: MaintenanceWork): Promise<OpenSession | null> {
    switch (stated.type) {
      case 'refused':
        return null;
      case 'rejected':
        throw new SbpError('SBP_PAYLOAD_TOO_LARGE', stated.detail);
      case 'appended': {
        if (!(await this.freshness.reached(stated.position, FOLD_MS))) throw notReadable();
        const state = await this.reads.state(work.sessionId);
        return state.phase === 'open' && work.isDone(state) ? state : null;
      }
    }
  }
}

function turnInFlight(): SbpError {
  return new SbpError(
    'SBP_SESSION_CONFLICT',
    'A turn of the session is still in flight after 30 s. Wait for its end, or cancel it first.',
  );
}

function notReadable(): SbpError {
  return new SbpError(
    'SBP_UPSTREAM_UNAVAILABLE',
    'It is recorded but not readable yet. Read the session, or ask again.',
    { retryAfter: 1 },
  );
}
