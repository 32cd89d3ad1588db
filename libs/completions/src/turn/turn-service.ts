import { mustMayUse, requireToken } from '#libs/access';
import { SessionTokens } from '#libs/auth';
import type { SessionState, TurnEntry } from '#libs/domain';
import { outageRefusal } from '#libs/event-log';
import { SbpError } from '#libs/protocol';
import { SessionReads } from '#libs/store';
import { Tracing } from '#libs/telemetry';
import { pause } from '#libs/timing';
import { SessionReleases } from '#libs/session-log';
import { Injectable } from '@nestjs/common';
import { Admission } from '../claim/admission.js';
import type { Place } from '../claim/admission.js';
import { Resumption } from '../claim/resumption.js';
import { SessionResolver } from '../claim/session-resolver.js';
import type { BusySession, ClaimedTurn, SuspendedSession } from '../claim/turn-claimer.js';
import { TurnClaimer } from '../claim/turn-claimer.js';
import { ACCEPTED } from '../http/answer-heads.js';
import type { Caller } from '../http/caller.js';
import type { TrackedRequest } from '../http/tracked-request.js';
import { endsWithCaller, isBackground } from '../http/tracked-request.js';
import type { Audience } from '../http/turn-answer.js';
import { TurnAnswer, isAwaited, readerFor } from '../http/turn-answer.js';
import { JoinedAnswers } from '../http/joined-answers.js';
import { Interruption } from '../queue/interruption.js';
import type { QueuedTurn } from '../queue/turn-queue.js';
import { TurnQueue } from '../queue/turn-queue.js';
import type { JoinedTurn } from '../repeats/repeats.js';
import { Repeats } from '../repeats/repeats.js';
import { firstAttempt } from './turn-attempt.js';
import type { TurnAttempt } from './turn-attempt.js';
import type { TurnOutcome } from './turn-outcome.js';
import { TurnRunner } from './turn-runner.js';

/** After how long a turn that nobody waits for is tried again that the log did not take, in ms. */
const RETRY_MS = 1_000;

/**
 * What has come of a request: nothing, so that it may be asked anew; a turn that is known by its
 * id; or one that was cancelled, and may not be known.
 */
type Came = 'nothing' | 'a turn' | 'cancelled';

/** One request that is served: what it asks, who asks, and its place here. */
interface Served {
  readonly request: TrackedRequest;
  readonly caller: Caller;
  readonly place: Place;
  /** When it came, on a clock that only rises. */
  readonly askedAt: number;
}

/**
 * One tracked request from end to end: admit, resolve, claim or queue, then run beside answer. What
 * it does where its session is busy, its caller has said (`sbp.on_conflict`).
 */
@Injectable()
export class TurnService {
  constructor(
    private readonly admission: Admission,
    private readonly resolver: SessionResolver,
    private readonly claimer: TurnClaimer,
    private readonly queue: TurnQueue,
    private readonly interruption: Interruption,
    private readonly releases: SessionReleases,
    private readonly runner: TurnRunner,
    private readonly answer: TurnAnswer,
    private readonly joins: JoinedAnswers,
    private readonly repeats: Repeats,
    private readonly resumption: Resumption,
    private readonly reads: SessionReads,
    private readonly tokens: SessionTokens,
    private readonly tracing: Tracing,
  ) {}

  /**
   * Resolves when the caller was answered, and his turn has ended where it runs in the background.
   * @throws SbpError before anything was begun; the caller is still to be told
   */
  async run(request: TrackedRequest, caller: Caller): Promise<void> {
    const askedAt = performance.now();
    const place = this.admission.enter(request.credential.principal, request.asked.bytes);
    try {
      const joined = await this.repeats.enter(request, () => caller.connected);
      if (joined !== null) await this.join(joined, request, caller);
      else await this.runOwn({ request, caller, place, askedAt });
    } finally {
      place.leave();
    }
  }

  /** A repeat: its turn runs, or has run, for somebody else. */
  private async join(
    { sessionId, turnId }: JoinedTurn,
    request: TrackedRequest,
    caller: Caller,
  ): Promise<void> {
    const state = await this.reads.state(sessionId);
    if (state.phase === 'open') {
      requireToken(sessionId, request.credential, 'X-Session-Token');
      mustMayUse(sessionId, state, request.credential, 'X-Session-Token');
    }
    const generation = generationOf(state);
    const audience = await this.audience(sessionId, turnId, generation, { request, caller });
    if (audience.isBackground) await this.answer.accept(audience);
    else await this.joins.give({ ...audience, isRepeat: true });
  }

  /** Its key is given back where nothing was begun. */
  private async runOwn(served: Served): Promise<void> {
    const { request, caller } = served;
    caller.onGone(() => this.repeats.tell(request, 'gone'));
    let came: Came = 'nothing';
    try {
      came = await this.begin(served);
    } finally {
      if (came === 'nothing') await this.repeats.giveBack(request);
      if (came === 'cancelled') await this.repeats.giveBackIfUnknown(request);
      if (came !== 'nothing' && caller.connected) this.repeats.tell(request, 'answered');
    }
  }

  private async begin(served: Served): Promise<Came> {
    const { request, caller } = served;
    const target = this.resolver.resolve(request);
    const found = await this.tracing.span('turn admit', () =>
      this.claimer.claim(target, request, () => caller.connected),
    );
    if (found === null) return 'nothing';
    if (found.type === 'busy') return this.serveBusy(found.session, served);
    if (found.type === 'suspended') return this.tellSuspended(found.session, served);
    return cameOf(await this.serve(found.turn, 'at-once', served));
  }

  private async serveBusy(session: BusySession, served: Served): Promise<Came> {
    const { request } = served;
    const { asked, by, turnId } = request;
    switch (request.sbp?.on_conflict ?? 'queue') {
      case 'reject':
        throw new SbpError(
          'SBP_SESSION_CONFLICT',
          'The session has a turn in flight, and sbp.on_conflict is "reject".',
        );
      case 'interrupt': {
        const turn = await this.interruption.take(session.sessionId, { turnId, asked, by });
        if (turn === null) return this.begin(served);
        return cameOf(await this.serve(turn, 'interrupt', served));
      }
      case 'queue': {
        await this.bind(request, session.sessionId);
        const background = isBackground(request);
        const queued = await this.queue.enter({ session, turnId, asked, by, background });
        if (queued === null) return this.begin(served);
        return this.waitAndServe(queued, served);
      }
    }
  }

  /** The session was suspended on purpose, and the request does not name it: nothing begins. */
  private async tellSuspended(
    { sessionId, state }: SuspendedSession,
    { request, caller }: Served,
  ): Promise<Came> {
    const sbp = await this.resumption.of(sessionId, state, request.credential);
    await caller.answer(ACCEPTED, { sessionId, sessionToken: sbp.session_token }, { sbp });
    return 'nothing';
  }

  /** @throws SbpError SBP_UPSTREAM_UNAVAILABLE where another request has its key by now */
  private async bind(request: TrackedRequest, sessionId: string): Promise<void> {
    if (await this.repeats.bind(request, sessionId)) return;
    const message = 'A repeat of the request was faster. Send it again to get its answer.';
    throw new SbpError('SBP_UPSTREAM_UNAVAILABLE', message, { retryAfter: 1 });
  }

  /** A turn that waits runs also where its caller goes away meanwhile. */
  private async waitAndServe(queued: QueuedTurn, served: Served): Promise<Came> {
    const { request, caller } = served;
    const { sessionId, tokenGeneration } = queued.session;
    const audience = await this.audience(sessionId, queued.turnId, tokenGeneration, served);
    if (audience.isBackground) await this.answer.accept(audience);
    if (endsWithCaller(request)) {
      caller.onGone(() => this.queue.leave(queued));
      if (!caller.connected) this.queue.leave(queued);
    }
    for (;;) {
      const outcome = await this.serveNext(queued, served, audience);
      if (outcome.type !== 'unstarted') return 'a turn';
      // It still waits. Whoever is told that nothing has begun must not find it running later; for
      // a caller who was promised an answer, or is gone, it is tried again.
      const isTold = isAwaited(audience.caller);
      if (isTold || outcome.error.code === 'SBP_PAYLOAD_TOO_LARGE') {
        const isGivenUp = await this.giveUp(queued, outcome.error, audience, isTold);
        if (isGivenUp) return isTold ? 'nothing' : 'a turn';
        await this.answer.goesOn(audience);
      }
      await pause(RETRY_MS);
    }
  }

  /** Waits for the turn's time, and runs it. */
  private async serveNext(
    queued: QueuedTurn,
    served: Served,
    audience: Audience,
  ): Promise<{ readonly type: 'served' } | Extract<TurnOutcome, { type: 'unstarted' }>> {
    try {
      const started = await this.queue.start(queued);
      if (started === 'left') {
        await this.answer.notOurs(audience);
        return { type: 'served' };
      }
      // What nobody waits for is left to other processes.
      if (started === 'closing' && !isAwaited(audience.caller)) return { type: 'served' };
      if (started === 'closing') throw this.admission.closing();
      const outcome = await this.serve(started, 'queued', served, audience);
      return outcome.type === 'unstarted' ? outcome : { type: 'served' };
    } catch (error) {
      if (error instanceof SbpError) return { type: 'unstarted', error };
      throw error;
    }
  }

  /** Ends a turn that waits and cannot begin here; false where the log does not take that now. */
  private async giveUp(
    { session: { sessionId }, turnId }: QueuedTurn,
    error: SbpError,
    audience: Audience,
    isTold: boolean,
  ): Promise<boolean> {
    const end = isTold ? null : { code: error.code, message: error.message };
    const presence = isTold ? 'connected' : 'gone';
    if (!(await this.queue.tryWithdraw(sessionId, turnId, end, presence))) return false;
    await this.answer.notOurs(audience, error);
    return true;
  }

  /** Runs a turn beside answering it; what did not start is told of here unless it has waited. */
  private async serve(
    claimed: ClaimedTurn,
    entry: TurnEntry,
    served: Served,
    known?: Audience,
  ): Promise<TurnOutcome> {
    const { request } = served;
    const { asked, by, agentId, credential } = request;
    const attempt = firstAttempt(claimed, {
      asked,
      by,
      opener: { principal: credential.principal, agentId },
      entry,
      isBackground: isBackground(request),
      askedAt: served.askedAt,
    });
    const audience = await this.prepare(attempt, served, known);
    const outcome = await this.runner.run(attempt, readerFor(audience, this.answer));
    if (outcome.type !== 'unstarted' || entry !== 'queued') {
      await this.answer.give(attempt, outcome, audience);
    }
    return outcome;
  }

  /** A claim that cannot be used is let go. */
  private async prepare(attempt: TurnAttempt, served: Served, known?: Audience): Promise<Audience> {
    const { sessionId, turnId, epoch } = attempt;
    try {
      served.place.grow(attempt.prompt.transcript.bytes);
      const generation = generationOf(attempt.state);
      const audience = known ?? (await this.audience(sessionId, turnId, generation, served));
      if (known === undefined) await this.bind(served.request, sessionId);
      // Last: a turn that begins after the process was asked to stop would be left to another one.
      this.admission.mustBeOpen();
      return audience;
    } catch (error) {
      await this.releases.release({ sessionId, turnId, epoch, head: null, answeredBy: null });
      if (error instanceof SbpError) throw error;
      const message = 'The turn could not be begun.';
      throw outageRefusal(error) ?? new SbpError('SBP_INTERNAL', message, { cause: error });
    }
  }

  private async audience(
    sessionId: string,
    turnId: string,
    generation: number,
    { caller, request }: Pick<Served, 'caller' | 'request'>,
  ): Promise<Audience> {
    const { token } = await this.tokens.issue(sessionId, generation);
    return {
      caller,
      session: { sessionId, sessionToken: token },
      turnId,
      model: request.asked.model,
      streams: request.streams,
      showUsage: request.showUsage,
      endsWithCaller: endsWithCaller(request),
      isBackground: isBackground(request),
      isRepeat: false,
    };
  }
}

function cameOf({ type }: TurnOutcome): Came {
  if (type === 'unstarted') return 'nothing';
  return type === 'cancelled' ? 'cancelled' : 'a turn';
}

/** Of the session's tokens. */
function generationOf(state: SessionState): number {
  return state.phase === 'open' ? state.tokenGeneration : 0;
}
