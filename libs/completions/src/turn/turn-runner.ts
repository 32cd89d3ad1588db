import { Injectable } from '@nestjs/common';
import type { AppendOutcome } from '#libs/event-log';
import { LogOverloaded } from '#libs/event-log';
import type { ModelResponse } from '#libs/llm';
import { ChatModel } from '#libs/llm';
import type { CallerPresence, LogEventOf } from '#libs/protocol';
import { SbpError } from '#libs/protocol';
import { Freshness, SessionReads } from '#libs/store';
import type { Caller, SessionHeaders } from '../http/caller.js';
import type { LiveTurn } from '#libs/live';
import { LiveTurns } from '#libs/live';
import type { ModelAnswer } from '../model/model-answer.js';
import { ModelAnswerReader } from '../model/model-answer.js';
import { modelUnavailable } from '../model/model-unavailable.js';
import { SessionReleases } from '../claim/session-releases.js';
import { sbpAnswer, sbpChunk } from '../http/sbp-answer.js';
import type { TurnAttempt } from './turn-attempt.js';
import { TurnFacts } from './turn-facts.js';
import { upstreamRequest } from '../model/upstream-request.js';

/** How long a caller waits for the log to take its turn, in ms; then it is told to try later. */
const START_TIMEOUT_MS = 10_000;

/** Who waits for the turn, and what it must be shown. */
export interface Audience {
  readonly caller: Caller;
  readonly session: SessionHeaders;
  /** Whether a stream's client asked for usage. */
  readonly showUsage: boolean;
}

/** One run of an attempt. */
interface Run extends Audience {
  readonly attempt: TurnAttempt;
  readonly live: LiveTurn;
  readonly abort: AbortController;
}

/**
 * Runs a turn: append `turn.started` and call the model at the same time, stream, append
 * `turn.completed`, release the claim, answer. Whatever happens, the turn ends in the log, or is
 * left to an adopter [A6].
 */
@Injectable()
export class TurnRunner {
  constructor(
    private readonly facts: TurnFacts,
    private readonly releases: SessionReleases,
    private readonly freshness: Freshness,
    private readonly reads: SessionReads,
    private readonly model: ChatModel,
    private readonly reader: ModelAnswerReader,
    private readonly live: LiveTurns,
  ) {}

  /** Resolves when the turn has ended here and its caller was answered. */
  async run(attempt: TurnAttempt, audience: Audience): Promise<void> {
    const abort = new AbortController();
    const drop = (): void => abort.abort(new ClaimLost('another process took the turn over'));
    const live = this.live.begin(attempt.sessionId, attempt.turnId, attempt.epoch, drop);
    try {
      await this.steps({ ...audience, attempt, live, abort });
    } finally {
      this.live.end(live);
      // A call of the model that nobody reads any more ends here.
      abort.abort(new Error('the turn has ended'));
    }
  }

  private async steps(run: Run): Promise<void> {
    const { attempt, abort, caller, live } = run;
    const { model, options } = attempt.request;
    const body = upstreamRequest(model, attempt.messages, options);
    const calling = settled(this.model.complete({ body, signal: abort.signal }));
    if (!attempt.adopted && !(await this.start(run))) return;
    const called = await calling;
    if (called.type === 'rejected') return this.broken(run, called.error);
    const answer = await this.reader.read(called.value, model, run.showUsage, {
      begin: () => caller.begin(called.value, run.session),
      chunk: (data) => caller.chunk(data),
      delta: (text) => live.append(text),
    });
    switch (answer.type) {
      case 'broken':
        return this.broken(run, answer.cause);
      case 'refused':
        return this.failed(run, { code: 'SBP_UPSTREAM_ERROR', message: answer.message }, () =>
          caller.relay(called.value, run.session, answer.body),
        );
      case 'json':
      case 'stream':
        return this.completed(run, called.value, answer);
    }
  }

  /** Whether the log took the turn's start; if not, the caller has been told. */
  private async start(run: Run): Promise<boolean> {
    const { attempt, caller } = run;
    const appending = settled(this.facts.start(attempt));
    const started = await withDeadline(appending, START_TIMEOUT_MS);
    if (started === null) {
      // Never abandoned: its claim stays held, and when the log answers the turn is cancelled.
      void appending.then((late) => this.cancelLate(attempt, late));
      await caller.fail(
        new SbpError('SBP_UPSTREAM_UNAVAILABLE', 'The log does not answer. Try later.', {
          retryAfter: 5,
        }),
        null,
      );
      return false;
    }
    if (started.type === 'resolved' && started.value.type === 'appended') return true;
    await this.release(attempt, null);
    await caller.fail(startRefusal(started), null);
    return false;
  }

  private async cancelLate(attempt: TurnAttempt, late: Settled<AppendOutcome>): Promise<void> {
    if (late.type === 'rejected' || late.value.type === 'rejected') {
      await this.release(attempt, null);
      return;
    }
    const message = 'The log answered too late: the caller had been told 503.';
    const cancelled = await this.facts.cancel(
      attempt,
      { code: 'SBP_TURN_CANCELLED', message },
      'connected',
    );
    await this.release(attempt, cancelled);
  }

  private async completed(
    run: Run,
    head: ModelResponse,
    answer: Extract<ModelAnswer, { type: 'json' | 'stream' }>,
  ): Promise<void> {
    const { attempt, session, caller } = run;
    const { outcome, event } = await this.facts.complete(attempt, answer.output, presence(caller));
    if (outcome.type === 'rejected') {
      const error = new SbpError(
        'SBP_PAYLOAD_TOO_LARGE',
        `The log does not take the model's answer: ${outcome.detail}`,
      );
      return this.failed(run, error, () => caller.fail(error, session));
    }
    await this.settle(run, outcome, event.data.caller, () => respond(run, head, answer, event));
  }

  /**
   * The model could not be reached, or broke off; or this attempt lost its claim and leaves the
   * turn to its adopter.
   */
  private async broken(run: Run, cause: unknown): Promise<void> {
    const { caller, session, abort } = run;
    if (abort.signal.reason instanceof ClaimLost) {
      await caller.fail(claimLost(), session);
      return;
    }
    const error = modelUnavailable(cause);
    return this.failed(run, error, () => caller.fail(error, session));
  }

  /** Ends the turn as failed, and tells the caller. */
  private async failed(
    run: Run,
    error: { readonly code: string; readonly message: string },
    tell: () => Promise<boolean>,
  ): Promise<void> {
    const callerThen = presence(run.caller);
    const outcome = await this.facts.fail(
      run.attempt,
      { code: error.code, message: error.message },
      callerThen,
    );
    await this.settle(run, outcome, callerThen, tell);
  }

  /**
   * After the turn's end is acknowledged the release decides: if it succeeds, no rival event stands
   * before ours; if it is refused, the fold says whether this attempt's end counted [A3].
   */
  private async settle(
    run: Run,
    outcome: AppendOutcome,
    callerThen: CallerPresence,
    tell: () => Promise<boolean>,
  ): Promise<void> {
    const { attempt, caller, session } = run;
    const counted =
      (await this.release(attempt, outcome)) || (await this.counted(attempt, outcome));
    if (!counted) {
      await caller.fail(claimLost(), session);
      return;
    }
    // It was promised to a caller who is not there any more: it goes to the Tether instead.
    if (!(await tell()) && callerThen === 'connected')
      await this.facts.undelivered(attempt.sessionId, attempt.turnId);
  }

  private async counted(attempt: TurnAttempt, outcome: AppendOutcome): Promise<boolean> {
    if (outcome.type === 'rejected' || !(await this.freshness.reached(outcome.position)))
      return false;
    const turn = await this.reads.turn(attempt.sessionId, attempt.turnId);
    return turn !== null && turn.status !== 'open' && turn.epoch === attempt.epoch;
  }

  private async release(attempt: TurnAttempt, outcome: AppendOutcome | null): Promise<boolean> {
    const head = outcome?.type === 'appended' ? outcome.position.offset : null;
    return this.releases.release(attempt.sessionId, attempt.epoch, head);
  }
}

async function respond(
  run: Run,
  head: ModelResponse,
  answer: Extract<ModelAnswer, { type: 'json' | 'stream' }>,
  event: LogEventOf<'turn.completed'>,
): Promise<boolean> {
  const { caller, session, attempt } = run;
  const sbp = sbpAnswer(attempt, session, event);
  if (answer.type === 'json') return caller.answer(head, session, { ...answer.body, sbp });
  for (const data of answer.held) caller.chunk(data);
  caller.chunk(sbpChunk(answer.last, sbp));
  return caller.done();
}

function presence(caller: Caller): CallerPresence {
  return caller.connected ? 'connected' : 'gone';
}

type Settled<T> =
  | { readonly type: 'resolved'; readonly value: T }
  | { readonly type: 'rejected'; readonly error: unknown };

/** The claim was lost to an adopter: this attempt is over. */
class ClaimLost extends Error {
  override readonly name = 'ClaimLost';
}

function claimLost(): SbpError {
  return new SbpError(
    'SBP_UPSTREAM_UNAVAILABLE',
    'The turn goes on in another process; its answer waits in the session.',
    {
      retryAfter: 1,
    },
  );
}

function startRefusal(started: Settled<AppendOutcome>): SbpError {
  if (started.type === 'rejected') {
    return started.error instanceof LogOverloaded
      ? new SbpError('SBP_RATE_LIMITED', 'Too much waits for the log. Try later.', {
          retryAfter: 1,
        })
      : new SbpError('SBP_INTERNAL', 'The turn could not be recorded.', { cause: started.error });
  }
  const detail = started.value.type === 'rejected' ? started.value.detail : '';
  return new SbpError('SBP_PAYLOAD_TOO_LARGE', `The log does not take this request: ${detail}`);
}

async function settled<T>(promise: Promise<T>): Promise<Settled<T>> {
  try {
    return { type: 'resolved', value: await promise };
  } catch (error) {
    return { type: 'rejected', error };
  }
}

async function withDeadline<T>(promise: Promise<T>, ms: number): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
