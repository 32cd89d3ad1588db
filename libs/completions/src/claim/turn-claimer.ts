import { randomUUID } from 'node:crypto';
import { mayUse, notFound } from '#libs/access';
import type { OpenSession, SessionState, TranscriptUpdate } from '#libs/domain';
import { initialState } from '#libs/domain';
import type { Message } from '#libs/protocol';
import { SbpError } from '#libs/protocol';
import type { ClaimOutcome, ClaimTarget, Transcript } from '#libs/store';
import { Claims, Freshness, ProcessIdentity, SessionReads } from '#libs/store';
import { Injectable } from '@nestjs/common';
import type { TrackedRequest } from '../http/tracked-request.js';
import { Admission } from './admission.js';
import type { Conversation } from './conversations.js';
import { Conversations } from './conversations.js';
import { SessionReleases } from './session-releases.js';
import type { Target } from './session-resolver.js';

/** A turn that this process holds the claim for, with what it is to be run on. */
export interface ClaimedTurn {
  readonly sessionId: string;
  readonly turnId: string;
  readonly epoch: number;
  readonly state: SessionState;
  readonly system: readonly Message[];
  readonly transcript: Transcript;
  readonly update: TranscriptUpdate;
}

/** How long a request waits for a busy session, in ms. */
const BUSY_TIMEOUT_MS = 60_000;
/** How often a busy session is tried when nothing tells of its release, in ms. */
const RETRY_MS = 100;

/** A session that a request found busy, as it was then. */
interface Found {
  readonly sessionId: string;
  /** How many of its turns had ended. */
  readonly ended: number;
  /** Whether the request is known to belong to it: it stays there, whatever is added meanwhile. */
  readonly isItsOwn: boolean;
}

/** One try of a request that waits for its session. */
interface Visit {
  readonly target: Target;
  readonly request: TrackedRequest;
  /** The session that an earlier try found. */
  readonly found: Found | null;
}

type Settled =
  | { readonly type: 'claimed'; readonly turn: ClaimedTurn }
  | { readonly type: 'busy'; readonly sessionId: string; readonly found: Found | null };

type ClaimTry =
  | Settled
  /** No such session is folded; it may just have been opened. */
  | { readonly type: 'unfolded'; readonly sessionId: string }
  /** The agent has no live session. */
  | { readonly type: 'none' }
  /** The agent's live session has another conversation. */
  | { readonly type: 'another' };

type Won = Extract<ClaimOutcome, { type: 'claimed' }> & { readonly turnId: string };

/** Wins the right to run the next turn of a session, waiting while it is busy. */
@Injectable()
export class TurnClaimer {
  constructor(
    private readonly claims: Claims,
    private readonly freshness: Freshness,
    private readonly reads: SessionReads,
    private readonly identity: ProcessIdentity,
    private readonly releases: SessionReleases,
    private readonly admission: Admission,
    private readonly conversations: Conversations,
  ) {}

  /**
   * Null if the caller went away while it waited: nothing was begun.
   * @throws SbpError SBP_SESSION_NOT_FOUND; SBP_PAYLOAD_TOO_LARGE; SBP_SESSION_CONFLICT when the
   *   session stayed busy for 60 s
   */
  async claim(
    target: Target,
    request: TrackedRequest,
    isWanted: () => boolean,
  ): Promise<ClaimedTurn | null> {
    const deadline = performance.now() + BUSY_TIMEOUT_MS;
    let found: Found | null = null;
    while (isWanted()) {
      this.admission.mustBeOpen();
      const attempt = await this.attempt({ target, request, found });
      if (attempt.type === 'claimed') return attempt.turn;
      if (performance.now() > deadline) {
        throw new SbpError(
          'SBP_SESSION_CONFLICT',
          'The session has been busy with another turn for 60 s. Try later.',
        );
      }
      ({ found } = attempt);
      await this.releases.wait(attempt.sessionId, RETRY_MS);
    }
    return null;
  }

  private async attempt(visit: Visit): Promise<Settled> {
    const { request, target, found } = visit;
    const { tokenSession, principal } = request.credential;
    switch (target.type) {
      case 'new':
        return this.open(request, 'any');
      case 'session': {
        const { sessionId } = target;
        this.admission.mustBeWritable(sessionId);
        const owner = tokenSession === null ? principal : null;
        const tried = await this.existing({ type: 'session', sessionId, principal: owner }, visit);
        if (tried.type === 'claimed' || tried.type === 'busy') return tried;
        if ((await this.freshness.presence(sessionId)) === 'absent') {
          throw notFound(sessionId, 'sbp.session_id');
        }
        return { type: 'busy', sessionId, found };
      }
      case 'live': {
        const { agentId } = request;
        const tried = await this.existing({ type: 'live', principal, agentId }, visit);
        switch (tried.type) {
          case 'claimed':
          case 'busy':
            return tried;
          case 'none':
            return this.open(request, 'join');
          case 'another':
            return this.open(request, 'any');
          case 'unfolded':
            return this.join(tried.sessionId, request);
        }
      }
    }
  }

  /** The live session is not folded: it was just opened, or whoever was to open it died. */
  private async join(sessionId: string, request: TrackedRequest): Promise<Settled> {
    if ((await this.freshness.presence(sessionId)) === 'present') {
      return { type: 'busy', sessionId, found: null };
    }
    return this.open(request, { sessionId });
  }

  private async open(
    request: TrackedRequest,
    replaces: 'any' | 'join' | { readonly sessionId: string },
  ): Promise<Settled> {
    const sessionId = this.admission.newSession();
    const turnId = randomUUID();
    const { agentId } = request;
    const { principal } = request.credential;
    const runner = this.identity.address;
    const opening = { sessionId, turnId, runner, principal, agentId, replaces };
    const opened = await this.claims.open(opening);
    if (opened.type === 'joined') {
      return { type: 'busy', sessionId: opened.sessionId, found: null };
    }
    const { epoch } = opened;
    const claim = { sessionId, turnId, epoch, state: initialState };
    return { type: 'claimed', turn: turnOf(this.conversations.begin(request), claim) };
  }

  private async existing(target: ClaimTarget, visit: Visit): Promise<ClaimTry> {
    const turnId = randomUUID();
    const claim = await this.claims.claim({ target, turnId, runner: this.identity.address });
    switch (claim.type) {
      case 'none':
        return claim;
      case 'refused':
        return this.refused(claim, visit);
      case 'claimed':
        return this.prepare({ ...claim, turnId }, visit);
    }
  }

  private async refused(
    { sessionId, seen }: Extract<ClaimOutcome, { type: 'refused' }>,
    { request, target, found }: Visit,
  ): Promise<ClaimTry> {
    if (seen?.state.phase !== 'open') return { type: 'unfolded', sessionId };
    const { state } = seen;
    if (!mayUse(state, request.credential)) throw notFound(sessionId, 'sbp.session_id');
    const isKnown = found?.sessionId === sessionId;
    if (isKnown && found.isItsOwn) return { type: 'busy', sessionId, found };
    const ended = isKnown ? found.ended : endedTurns(state);
    const belongs =
      target.type === 'live' ? await this.conversations.belongs(sessionId, state, request) : true;
    if (belongs === false) return { type: 'another' };
    return { type: 'busy', sessionId, found: { sessionId, ended, isItsOwn: belongs === true } };
  }

  /** What the turn is to be run on; a claim that comes to nothing is let go. */
  /** What the turn is to be run on; a claim that comes to nothing is let go. */
  private async prepare(won: Won, visit: Visit): Promise<ClaimTry> {
    const { sessionId, turnId, epoch } = won;
    const { request, target, found } = visit;
    try {
      const state = await this.fresh(won);
      if (isFree(state)) {
        this.admission.mustBeWritable(sessionId);
        const known = found?.sessionId === sessionId ? found : null;
        const endedBefore = known?.ended ?? state.turns;
        const conversation = await this.conversations.goOn(sessionId, state, request, endedBefore);
        const mayBeAnother = target.type === 'live' && known?.isItsOwn !== true;
        if (conversation.reading.belongs || !mayBeAnother) {
          return {
            type: 'claimed',
            turn: turnOf(conversation, { sessionId, turnId, epoch, state }),
          };
        }
        await this.letGo(won);
        return { type: 'another' };
      }
    } catch (error) {
      await this.letGo(won);
      throw error;
    }
    await this.letGo(won);
    return { type: 'busy', sessionId, found };
  }

  /** The session as of everything that was acknowledged when the claim was won [A5]. */
  private async fresh({ sessionId, head, seen }: Won): Promise<SessionState> {
    this.freshness.seen(sessionId, seen.foldedTo);
    if (seen.foldedTo > head) return seen.state;
    await this.freshness.foldedUpTo(sessionId, head);
    return this.reads.state(sessionId);
  }

  private letGo({ sessionId, turnId, epoch }: Won): Promise<boolean> {
    return this.releases.release({ sessionId, turnId, epoch, head: null, answeredBy: null });
  }
}

/** A session whose fold has an open turn is busy, whatever its claim row says. */
function isFree(state: SessionState): state is OpenSession {
  return state.phase === 'open' && state.turn === null;
}

function endedTurns({ turn, turns }: OpenSession): number {
  return turn === null ? turns : turns - 1;
}

function turnOf(
  { system, transcript, reading }: Conversation,
  claim: Pick<ClaimedTurn, 'sessionId' | 'turnId' | 'epoch' | 'state'>,
): ClaimedTurn {
  return { ...claim, system, transcript, update: reading.update };
}
