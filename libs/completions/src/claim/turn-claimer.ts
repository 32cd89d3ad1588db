import { mustMayUse, notFound } from '#libs/access';
import type { AskedTurn, OpenSession, SessionState, TranscriptUpdate } from '#libs/domain';
import { endedTurns, initialState, isFinished } from '#libs/domain';
import type { Message } from '#libs/protocol';
import { SbpError } from '#libs/protocol';
import type { ClaimOutcome, ClaimTarget, SeenTarget, Transcript } from '#libs/store';
import { Claims, Freshness, ProcessIdentity, SessionReads } from '#libs/store';
import { SessionReleases } from '#libs/session-log';
import { Injectable } from '@nestjs/common';
import type { TrackedRequest } from '../http/tracked-request.js';
import { Admission } from './admission.js';
import type { Conversation } from './conversations.js';
import { Conversations } from './conversations.js';
import type { Target } from './session-resolver.js';

/** A turn that this process holds the claim for, with what it is to be run on. */
export interface ClaimedTurn {
  readonly sessionId: string;
  readonly turnId: string;
  readonly epoch: number;
  readonly state: SessionState;
  readonly system: readonly Message[];
  readonly notes: readonly Message[];
  readonly transcript: Transcript;
  readonly update: TranscriptUpdate;
}

/** A session that something runs or waits in, and that a request belongs to. */
export interface BusySession {
  readonly sessionId: string;
  /** How many of its turns had started and ended when the request arrived. */
  readonly endedBefore: number;
  /** Of its tokens. */
  readonly tokenGeneration: number;
}

/** A session that was suspended on purpose, so that nobody goes on with it by accident. */
export interface SuspendedSession {
  readonly sessionId: string;
  readonly state: OpenSession;
}

/**
 * What a request found: a session to run its turn in at once, one in which it must wait, or one
 * that is to be named to be resumed.
 */
export type Place =
  | { readonly type: 'suspended'; readonly session: SuspendedSession }
  | { readonly type: 'claimed'; readonly turn: ClaimedTurn }
  | { readonly type: 'busy'; readonly session: BusySession };

/** How long a request waits for a session that is not folded yet, in ms. */
const UNFOLDED_TIMEOUT_MS = 60_000;
/** How often it is tried meanwhile, in ms. */
const RETRY_MS = 100;

/** A session that a request has seen, as it was then. */
interface Found {
  readonly sessionId: string;
  /** How many of its turns had started and ended. */
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
  | Place
  /** It cannot be said yet. */
  | { readonly type: 'again'; readonly sessionId: string; readonly found: Found | null };

type ClaimTry =
  | Settled
  /** No such session is folded; it may just have been opened. */
  | { readonly type: 'unfolded'; readonly sessionId: string }
  /** The agent has no live session. */
  | { readonly type: 'none' }
  /** The agent's live session has another conversation. */
  | { readonly type: 'another' }
  /** The agent's live session has completed or failed. */
  | { readonly type: 'finished'; readonly sessionId: string };

type Won = Extract<ClaimOutcome, { type: 'claimed' }> & { readonly turnId: string };

/** Wins the right to run the next turn of a session. */
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
   * Claims the session for a new turn, or says that others are before it. Null if the caller went
   * away meanwhile: nothing was begun.
   * @throws SbpError SBP_SESSION_NOT_FOUND; SBP_PAYLOAD_TOO_LARGE; SBP_SESSION_CONFLICT where the
   *   session has finished, or could not be read for 60 s
   */
  async claim(
    target: Target,
    request: TrackedRequest,
    isWanted: () => boolean,
  ): Promise<Place | null> {
    const deadline = performance.now() + UNFOLDED_TIMEOUT_MS;
    let found: Found | null = null;
    while (isWanted()) {
      this.admission.mustBeOpen();
      const attempt = await this.attempt({ target, request, found });
      if (attempt.type !== 'again') return attempt;
      if (performance.now() > deadline) {
        throw new SbpError(
          'SBP_SESSION_CONFLICT',
          'The session could not be read for 60 s. Try later.',
        );
      }
      ({ found } = attempt);
      await this.releases.wait(attempt.sessionId, RETRY_MS);
    }
    return null;
  }

  /**
   * Claims the session for the turn at the head of its queue; null where somebody else holds it, or
   * the turn is not the head.
   * @throws SbpError SBP_PAYLOAD_TOO_LARGE: it can never start
   */
  async claimHead(
    sessionId: string,
    turnId: string,
    asked: AskedTurn,
    endedBefore: number,
  ): Promise<ClaimedTurn | null> {
    const target = { type: 'session', sessionId, principal: null } as const;
    const claim = await this.claims.claim({ target, turnId, runner: this.identity.address });
    if (claim.type !== 'claimed') return null;
    const won = { ...claim, turnId };
    return this.orLetGo(won, async () => {
      const state = await this.fresh(won);
      if (!isIdle(state) || state.waiting[0]?.turnId !== turnId) return null;
      const conversation = await this.conversations.goOn(sessionId, state, asked, endedBefore);
      if (conversation === null) return null;
      return turnOf(conversation, { sessionId, turnId, epoch: claim.epoch, state });
    });
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
        if (isSettled(tried)) return tried;
        if (tried.type === 'finished') throw hasFinished();
        if ((await this.freshness.presence(sessionId)) === 'absent') {
          throw notFound(sessionId, 'sbp.session_id');
        }
        return { type: 'again', sessionId, found };
      }
      case 'live': {
        const { agentId } = request;
        const tried = await this.existing({ type: 'live', principal, agentId }, visit);
        if (isSettled(tried)) return tried;
        switch (tried.type) {
          case 'finished':
            return this.open(request, { sessionId: tried.sessionId });
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
      return { type: 'again', sessionId, found: null };
    }
    return this.open(request, { sessionId });
  }

  private async open(
    request: TrackedRequest,
    replaces: 'any' | 'join' | { readonly sessionId: string },
  ): Promise<Settled> {
    const sessionId = this.admission.newSession();
    const { agentId, turnId } = request;
    const { principal } = request.credential;
    const runner = this.identity.address;
    const opening = { sessionId, turnId, runner, principal, agentId, replaces };
    const opened = await this.claims.open(opening);
    if (opened.type === 'joined') {
      return { type: 'again', sessionId: opened.sessionId, found: null };
    }
    const { epoch } = opened;
    const claim = { sessionId, turnId, epoch, state: initialState };
    return { type: 'claimed', turn: turnOf(this.conversations.begin(request.asked), claim) };
  }

  private async existing(target: ClaimTarget, visit: Visit): Promise<ClaimTry> {
    const { turnId } = visit.request;
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

  /** Somebody else has it: whether the request is to wait there. */
  private async refused(
    { sessionId, seen, head }: Extract<SeenTarget, { type: 'refused' }>,
    { request, target, found }: Visit,
  ): Promise<ClaimTry> {
    if (seen?.state.phase !== 'open') return { type: 'unfolded', sessionId };
    mustMayUse(sessionId, seen.state, request.credential, 'sbp.session_id');
    const isKnown = found?.sessionId === sessionId;
    if (isKnown && found.isItsOwn && seen.state.life.type === 'active') {
      return busy(sessionId, seen.state, found.ended);
    }
    const state = await this.fresh({ sessionId, seen, head });
    if (state.phase !== 'open') return { type: 'unfolded', sessionId };
    if (isFinished(state)) return { type: 'finished', sessionId };
    if (state.life.type === 'suspended') {
      // Whoever holds it resumes it, or lets it go.
      if (isNamed(request)) return { type: 'again', sessionId, found };
      return { type: 'suspended', session: { sessionId, state } };
    }
    const ended = isKnown ? found.ended : endedTurns(state);
    const belongs =
      target.type !== 'live' || (await this.conversations.belongs(sessionId, state, request.asked));
    if (belongs === false) return { type: 'another' };
    if (belongs === null) {
      return { type: 'again', sessionId, found: { sessionId, ended, isItsOwn: false } };
    }
    return busy(sessionId, state, ended);
  }

  /** What the turn is to be run on. */
  private async prepare(won: Won, { request, target, found }: Visit): Promise<ClaimTry> {
    const { sessionId, turnId, epoch } = won;
    let other: ClaimTry = { type: 'another' };
    const turn = await this.orLetGo(won, async () => {
      const state = await this.fresh(won);
      if (!isIdle(state) || state.waiting.length > 0) {
        other = { type: 'again', sessionId, found };
        return null;
      }
      mustMayUse(sessionId, state, request.credential, 'sbp.session_id');
      if (isFinished(state)) {
        other = { type: 'finished', sessionId };
        return null;
      }
      if (state.life.type === 'suspended' && !isNamed(request)) {
        other = { type: 'suspended', session: { sessionId, state } };
        return null;
      }
      this.admission.mustBeWritable(sessionId);
      const known = found?.sessionId === sessionId ? found : null;
      const { asked } = request;
      const endedBefore = known?.ended ?? endedTurns(state);
      const conversation = await this.conversations.goOn(sessionId, state, asked, endedBefore);
      if (conversation === null) {
        other = { type: 'again', sessionId, found };
        return null;
      }
      const mayBeAnother = target.type === 'live' && known?.isItsOwn !== true;
      if (mayBeAnother && !conversation.reading.belongs) return null;
      return turnOf(conversation, { sessionId, turnId, epoch, state });
    });
    return turn === null ? other : { type: 'claimed', turn };
  }

  /** A claim that comes to nothing is let go. */
  private async orLetGo(
    won: Pick<Won, 'sessionId' | 'turnId' | 'epoch'>,
    prepare: () => Promise<ClaimedTurn | null>,
  ): Promise<ClaimedTurn | null> {
    let turn: ClaimedTurn | null = null;
    try {
      turn = await prepare();
      return turn;
    } finally {
      if (turn === null) {
        const { sessionId, turnId, epoch } = won;
        await this.releases.release({ sessionId, turnId, epoch, head: null, answeredBy: null });
      }
    }
  }

  /** The session as of everything that was acknowledged when its claim was seen [A5]. */
  private async fresh({
    sessionId,
    head,
    seen,
  }: Pick<Won, 'sessionId' | 'head' | 'seen'>): Promise<SessionState> {
    this.freshness.seen(sessionId, seen.foldedTo);
    if (seen.foldedTo > head) return seen.state;
    await this.freshness.foldedUpTo(sessionId, head);
    return this.reads.state(sessionId);
  }
}

/** A session whose fold has an open turn is busy, whatever its claim row says. */
function isIdle(state: SessionState): state is OpenSession {
  return state.phase === 'open' && state.turn === null;
}

function busy(sessionId: string, { tokenGeneration }: OpenSession, endedBefore: number): Place {
  return { type: 'busy', session: { sessionId, endedBefore, tokenGeneration } };
}

/** Whether the request names its session, and so goes on with it on purpose. */
function isNamed({ sbp }: TrackedRequest): boolean {
  return (sbp?.session_id ?? null) !== null;
}

function isSettled(tried: ClaimTry): tried is Settled {
  const { type } = tried;
  return type === 'claimed' || type === 'busy' || type === 'suspended' || type === 'again';
}

function hasFinished(): SbpError {
  return new SbpError(
    'SBP_SESSION_CONFLICT',
    'The session has completed or failed, and takes no more turns. Fork it, or open a new one.',
    { param: 'sbp.session_id' },
  );
}

/** What a turn is run on, of a session that was read while its claim was held. */
export function turnOf(
  { system, notes, transcript, reading }: Conversation,
  claim: Pick<ClaimedTurn, 'sessionId' | 'turnId' | 'epoch' | 'state'>,
): ClaimedTurn {
  return { ...claim, system, notes, transcript, update: reading.update };
}
