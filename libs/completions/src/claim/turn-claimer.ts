import { Injectable } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import type { OpenSession, TranscriptUpdate } from '#libs/domain';
import { initialState, updateTranscript } from '#libs/domain';
import type { SessionState } from '#libs/domain';
import { SbpError } from '#libs/protocol';
import type { Transcript } from '#libs/store';
import { Claims, Freshness, ProcessIdentity, SessionReads } from '#libs/store';
import { SessionReleases } from './session-releases.js';
import type { Target } from './session-resolver.js';
import type { TrackedRequest } from '../http/tracked-request.js';

/** A turn that this process holds the claim for, with what it is to be run on. */
export interface ClaimedTurn {
  readonly sessionId: string;
  readonly turnId: string;
  readonly epoch: number;
  readonly state: SessionState;
  readonly transcript: Transcript;
  readonly update: TranscriptUpdate;
}

/** How long a request waits for a busy session, in ms. */
const BUSY_TIMEOUT_MS = 60_000;
/** How often a busy session is tried when nothing tells of its release, in ms. */
const RETRY_MS = 100;

type ClaimTry =
  | { readonly type: 'claimed'; readonly turn: ClaimedTurn }
  | { readonly type: 'busy'; readonly sessionId: string }
  /** The target is no session (any more): it was never opened. */
  | { readonly type: 'absent'; readonly sessionId: string };

const emptyTranscript: Transcript = {
  system: [],
  entries: [],
  unanswered: 0,
  steps: 0,
  turnNumber: 0,
  totalCostUsd: 0,
};

/** Wins the right to run the next turn of a session, waiting while it is busy. */
@Injectable()
export class TurnClaimer {
  constructor(
    private readonly claims: Claims,
    private readonly freshness: Freshness,
    private readonly reads: SessionReads,
    private readonly identity: ProcessIdentity,
    private readonly releases: SessionReleases,
  ) {}

  /**
   * Null if the caller went away while it waited: nothing was begun.
   * @throws SbpError SBP_SESSION_NOT_FOUND; SBP_SESSION_CONFLICT when the session stayed busy for
   *   60 s
   */
  async claim(
    target: Target,
    request: TrackedRequest,
    isWanted: () => boolean,
  ): Promise<ClaimedTurn | null> {
    const deadline = Date.now() + BUSY_TIMEOUT_MS;
    for (let first = true; isWanted(); first = false) {
      const attempt = await this.attempt(target, request, first);
      switch (attempt.type) {
        case 'claimed':
          return attempt.turn;
        case 'absent':
          throw new SbpError('SBP_SESSION_NOT_FOUND', `No session with ID ${attempt.sessionId}.`, {
            param: 'sbp.session_id',
          });
        case 'busy':
          if (Date.now() > deadline) {
            throw new SbpError(
              'SBP_SESSION_CONFLICT',
              'The session has been busy with another turn for 60 s. Try later.',
            );
          }
          await this.releases.wait(attempt.sessionId, RETRY_MS);
      }
    }
    return null;
  }

  private async attempt(
    target: Target,
    request: TrackedRequest,
    first: boolean,
  ): Promise<ClaimTry> {
    switch (target.type) {
      case 'new':
        return this.open(request, 'any');
      case 'session':
        // Its authorisation has just waited for the read models to show it.
        return first
          ? this.existing(target.sessionId, request)
          : this.settled(target.sessionId, request);
      case 'live': {
        const live = await this.reads.liveSession(request.credential.principal, request.agentId);
        const attempt =
          live === null ? await this.open(request, 'join') : await this.settled(live, request);
        if (attempt.type !== 'absent') return attempt;
        // Whoever was to open it died before it did: another takes its place. If that is gone too,
        // all begins again.
        const { sessionId } = attempt;
        const other = await this.open(request, { sessionId });
        return other.type === 'absent' ? { type: 'busy', sessionId } : other;
      }
    }
  }

  private async open(
    request: TrackedRequest,
    replaces: 'any' | 'join' | { readonly sessionId: string },
  ): Promise<ClaimTry> {
    const sessionId = randomUUID();
    const turnId = randomUUID();
    const { agentId } = request;
    const { principal } = request.credential;
    const runner = this.identity.address;
    const opened = await this.claims.open({
      sessionId,
      turnId,
      runner,
      principal,
      agentId,
      replaces,
    });
    if (opened.type === 'joined') return this.settled(opened.sessionId, request);
    const { epoch } = opened;
    return {
      type: 'claimed',
      turn: turnOn(initialState, emptyTranscript, { sessionId, turnId, epoch }, request),
    };
  }

  private async settled(sessionId: string, request: TrackedRequest): Promise<ClaimTry> {
    const sighted = await this.freshness.settle(sessionId);
    return sighted === 'absent' ? { type: 'absent', sessionId } : this.existing(sessionId, request);
  }

  /** Tries to claim a session whose fold was waited for [A5]. */
  private async existing(sessionId: string, request: TrackedRequest): Promise<ClaimTry> {
    const turnId = randomUUID();
    const claim = await this.claims.claim({ sessionId, turnId, runner: this.identity.address });
    if (claim.type === 'refused') return { type: 'busy', sessionId };
    const { epoch, head } = claim;
    try {
      // The head may have moved between the wait and the claim [A5].
      await this.freshness.settleAt(sessionId, head);
      const [state, transcript] = await Promise.all([
        this.reads.state(sessionId),
        this.reads.transcript(sessionId),
      ]);
      if (isFree(state)) {
        return {
          type: 'claimed',
          turn: turnOn(state, transcript, { sessionId, turnId, epoch }, request),
        };
      }
    } catch (error) {
      await this.releases.release(sessionId, epoch, null);
      throw error;
    }
    await this.releases.release(sessionId, epoch, null);
    return { type: 'busy', sessionId };
  }
}

/** A session whose fold has an open turn is busy, whatever its claim row says. */
function isFree(state: SessionState): state is OpenSession {
  return state.phase === 'open' && state.turn === null;
}

function turnOn(
  state: SessionState,
  transcript: Transcript,
  attempt: { readonly sessionId: string; readonly turnId: string; readonly epoch: number },
  request: TrackedRequest,
): ClaimedTurn {
  const stored = {
    system: transcript.system,
    messages: transcript.entries.map((entry) => entry.message),
    unanswered: transcript.unanswered,
  };
  return {
    ...attempt,
    state,
    transcript,
    update: updateTranscript(stored, request.completion.messages),
  };
}
