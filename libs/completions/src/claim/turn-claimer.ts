import { randomUUID } from 'node:crypto';
import { mayUse, notFound } from '#libs/access';
import type { OpenSession, SessionState, TranscriptUpdate } from '#libs/domain';
import { initialState, updateTranscript } from '#libs/domain';
import type { Message } from '#libs/protocol';
import { SbpError } from '#libs/protocol';
import type { ClaimOutcome, ClaimTarget, Transcript } from '#libs/store';
import {
  Claims,
  Freshness,
  ProcessIdentity,
  SessionReads,
  Transcripts,
  emptyTranscript,
  storedTranscript,
} from '#libs/store';
import { Injectable } from '@nestjs/common';
import { CompletionsOptions } from '../completions-options.js';
import type { TrackedRequest } from '../http/tracked-request.js';
import { Admission } from './admission.js';
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

type ClaimTry =
  | { readonly type: 'claimed'; readonly turn: ClaimedTurn }
  | { readonly type: 'busy'; readonly sessionId: string }
  /** No such session is folded; it may just have been opened. */
  | { readonly type: 'unfolded'; readonly sessionId: string }
  /** The agent has no live session. */
  | { readonly type: 'none' };

type Won = Extract<ClaimOutcome, { type: 'claimed' }> & { readonly turnId: string };

/** Wins the right to run the next turn of a session, waiting while it is busy. */
@Injectable()
export class TurnClaimer {
  constructor(
    private readonly claims: Claims,
    private readonly freshness: Freshness,
    private readonly reads: SessionReads,
    private readonly transcripts: Transcripts,
    private readonly identity: ProcessIdentity,
    private readonly releases: SessionReleases,
    private readonly admission: Admission,
    private readonly options: CompletionsOptions,
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
    while (isWanted()) {
      this.admission.mustBeOpen();
      const attempt = await this.attempt(target, request);
      if (attempt.type === 'claimed') return attempt.turn;
      if (performance.now() > deadline) {
        throw new SbpError(
          'SBP_SESSION_CONFLICT',
          'The session has been busy with another turn for 60 s. Try later.',
        );
      }
      await this.releases.wait(attempt.sessionId, RETRY_MS);
    }
    return null;
  }

  private async attempt(
    target: Target,
    request: TrackedRequest,
  ): Promise<Extract<ClaimTry, { type: 'claimed' | 'busy' }>> {
    const { tokenSession, principal } = request.credential;
    switch (target.type) {
      case 'new':
        return this.open(request, 'any');
      case 'session': {
        const { sessionId } = target;
        this.admission.mustBeWritable(sessionId);
        const owner = tokenSession === null ? principal : null;
        const tried = await this.existing(
          { type: 'session', sessionId, principal: owner },
          request,
        );
        if (tried.type === 'claimed' || tried.type === 'busy') return tried;
        if ((await this.freshness.presence(sessionId)) === 'absent') {
          throw notFound(sessionId, 'sbp.session_id');
        }
        return { type: 'busy', sessionId };
      }
      case 'live': {
        const { agentId } = request;
        const tried = await this.existing({ type: 'live', principal, agentId }, request);
        if (tried.type === 'claimed' || tried.type === 'busy') return tried;
        return tried.type === 'none'
          ? this.open(request, 'join')
          : this.join(tried.sessionId, request);
      }
    }
  }

  /** The live session is not folded: it was just opened, or whoever was to open it died. */
  private async join(
    sessionId: string,
    request: TrackedRequest,
  ): Promise<Extract<ClaimTry, { type: 'claimed' | 'busy' }>> {
    if ((await this.freshness.presence(sessionId)) === 'present') {
      return { type: 'busy', sessionId };
    }
    return this.open(request, { sessionId });
  }

  private async open(
    request: TrackedRequest,
    replaces: 'any' | 'join' | { readonly sessionId: string },
  ): Promise<Extract<ClaimTry, { type: 'claimed' | 'busy' }>> {
    const sessionId = this.admission.newSession();
    const turnId = randomUUID();
    const { agentId } = request;
    const { principal } = request.credential;
    const runner = this.identity.address;
    const opening = { sessionId, turnId, runner, principal, agentId, replaces };
    const opened = await this.claims.open(opening);
    if (opened.type === 'joined') return { type: 'busy', sessionId: opened.sessionId };
    const { epoch } = opened;
    const stored = storedTranscript(emptyTranscript, [], 0);
    return {
      type: 'claimed',
      turn: {
        sessionId,
        turnId,
        epoch,
        state: initialState,
        system: [],
        transcript: emptyTranscript,
        update: updateTranscript(stored, request.completion.messages),
      },
    };
  }

  private async existing(target: ClaimTarget, request: TrackedRequest): Promise<ClaimTry> {
    const turnId = randomUUID();
    const claim = await this.claims.claim({ target, turnId, runner: this.identity.address });
    switch (claim.type) {
      case 'none':
        return claim;
      case 'refused':
        return this.refused(claim, request);
      case 'claimed':
        return this.prepare({ ...claim, turnId }, request);
    }
  }

  private refused(
    { sessionId, seen }: Extract<ClaimOutcome, { type: 'refused' }>,
    { credential }: TrackedRequest,
  ): ClaimTry {
    if (seen?.state.phase !== 'open') return { type: 'unfolded', sessionId };
    if (!mayUse(seen.state, credential)) throw notFound(sessionId, 'sbp.session_id');
    return { type: 'busy', sessionId };
  }

  /** What the turn is to be run on; a claim that comes to nothing is let go. */
  private async prepare(won: Won, request: TrackedRequest): Promise<ClaimTry> {
    const { sessionId, turnId, epoch } = won;
    try {
      const state = await this.fresh(won);
      if (isFree(state)) {
        this.admission.mustBeWritable(sessionId);
        this.mustFit(state, request);
        const [transcript, system] = await Promise.all([
          this.transcripts.load(sessionId, state),
          this.transcripts.system(sessionId, state),
        ]);
        const stored = storedTranscript(transcript, system, state.unanswered);
        const update = updateTranscript(stored, request.completion.messages);
        const turn = { sessionId, turnId, epoch, state, system, transcript, update };
        return { type: 'claimed', turn };
      }
    } catch (error) {
      await this.letGo(won);
      throw error;
    }
    await this.letGo(won);
    return { type: 'busy', sessionId };
  }

  /** The session as of everything that was acknowledged when the claim was won [A5]. */
  private async fresh({ sessionId, head, seen }: Won): Promise<SessionState> {
    this.freshness.seen(sessionId, seen.foldedTo);
    if (seen.foldedTo > head) return seen.state;
    await this.freshness.foldedUpTo(sessionId, head);
    return this.reads.state(sessionId);
  }

  /** Before anything of the conversation is loaded. */
  private mustFit({ bytes }: OpenSession, request: TrackedRequest): void {
    const { maxSessionBytes } = this.options;
    if (bytes + request.bytes <= maxSessionBytes) return;
    throw new SbpError(
      'SBP_PAYLOAD_TOO_LARGE',
      `The conversation has ${bytes} bytes, and the request ${request.bytes}; together they may ` +
        `have ${maxSessionBytes}. Go on in a new session.`,
      { param: 'messages' },
    );
  }

  private letGo({ sessionId, turnId, epoch }: Won): Promise<boolean> {
    return this.releases.release({ sessionId, turnId, epoch, head: null, answeredBy: null });
  }
}

/** A session whose fold has an open turn is busy, whatever its claim row says. */
function isFree(state: SessionState): state is OpenSession {
  return state.phase === 'open' && state.turn === null;
}
