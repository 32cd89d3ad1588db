import { SessionTokens } from '#libs/auth';
import { SbpError } from '#libs/protocol';
import { Injectable } from '@nestjs/common';
import { Admission } from '../claim/admission.js';
import type { Place } from '../claim/admission.js';
import { SessionReleases } from '../claim/session-releases.js';
import { SessionResolver } from '../claim/session-resolver.js';
import { TurnClaimer } from '../claim/turn-claimer.js';
import type { Caller } from '../http/caller.js';
import type { TrackedRequest } from '../http/tracked-request.js';
import { wantsUsage } from '../http/tracked-request.js';
import type { Audience } from '../http/turn-answer.js';
import { TurnAnswer, readerFor } from '../http/turn-answer.js';
import { firstAttempt } from './turn-attempt.js';
import type { TurnAttempt } from './turn-attempt.js';
import { TurnRunner } from './turn-runner.js';

/** One tracked request from end to end: admit, resolve, claim, then run beside answer. */
@Injectable()
export class TurnService {
  constructor(
    private readonly admission: Admission,
    private readonly resolver: SessionResolver,
    private readonly claimer: TurnClaimer,
    private readonly releases: SessionReleases,
    private readonly runner: TurnRunner,
    private readonly answer: TurnAnswer,
    private readonly tokens: SessionTokens,
  ) {}

  /**
   * Resolves when the caller was answered. @throws SbpError before anything was begun; the caller
   * is still to be told
   */
  async run(request: TrackedRequest, caller: Caller): Promise<void> {
    const place = this.admission.enter(request.bytes);
    try {
      const target = this.resolver.resolve(request);
      const claimed = await this.claimer.claim(target, request, () => caller.connected);
      if (claimed === null) return;
      const attempt = firstAttempt(claimed, request);
      const audience = await this.audience(attempt, request, caller, place);
      const outcome = await this.runner.run(attempt, readerFor(audience));
      await this.answer.give(attempt, outcome, audience);
    } finally {
      place.leave();
    }
  }

  /** A claim that cannot be used is let go. */
  private async audience(
    attempt: TurnAttempt,
    request: TrackedRequest,
    caller: Caller,
    place: Place,
  ): Promise<Audience> {
    const { sessionId, turnId, epoch } = attempt;
    try {
      place.grow(attempt.prompt.transcript.bytes);
      const { token } = await this.tokens.issue(sessionId);
      const session = { sessionId, sessionToken: token };
      // Last: a turn that begins after the process was asked to stop would be left to another one.
      this.admission.mustBeOpen();
      const endsWithCaller = request.sbp?.on_disconnect === 'cancel';
      return { caller, session, showUsage: wantsUsage(request), endsWithCaller };
    } catch (error) {
      await this.releases.release({ sessionId, turnId, epoch, head: null, answeredBy: null });
      throw error instanceof SbpError
        ? error
        : new SbpError('SBP_INTERNAL', 'The turn could not be begun.', { cause: error });
    }
  }
}
