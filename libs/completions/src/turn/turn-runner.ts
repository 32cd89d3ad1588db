import type { UpstreamAnswer } from '#libs/domain';
import type { ModelResponse } from '#libs/llm';
import { ChatModel } from '#libs/llm';
import type { LiveTurn } from '#libs/live';
import { AttemptPlace, LiveTurns } from '#libs/live';
import type { CallerPresence } from '#libs/protocol';
import { HEADERS, SbpError } from '#libs/protocol';
import { Claims } from '#libs/store';
import { within } from '#libs/timing';
import { Injectable } from '@nestjs/common';
import { SessionReleases } from '../claim/session-releases.js';
import { CompletionsOptions } from '../completions-options.js';
import type { FittedPrompt } from '../model/context-window.js';
import { ContextWindow } from '../model/context-window.js';
import type { ModelAnswer } from '../model/model-answer.js';
import { ModelAnswerReader } from '../model/model-answer.js';
import { modelUnavailable, mayHaveReached } from '../model/model-unavailable.js';
import { upstreamRequest } from '../model/upstream-request.js';
import { CallerLeft, ClaimLost, HandedOver, RunningTurns, TurnStopped } from './running-turns.js';
import type { Settled } from './settled.js';
import { settled } from './settled.js';
import { logRefusal, logSilent } from './log-refusal.js';
import type { SentText } from './sent-text.js';
import { SentSoFar } from './sent-text.js';
import { SpentTokens } from './spent-tokens.js';
import type { TurnAttempt } from './turn-attempt.js';
import type { Completed, Failure, TurnAppend } from './turn-events.js';
import { TurnEvents, headOf, turnCancelled } from './turn-events.js';
import { Verdict } from './verdict.js';

/*
 * Running a turn, from a won claim to its release. The runner feeds a live turn and commits; it
 * knows no caller, and nobody who reads the answer can hold it up [A15].
 *
 * | phase   | does                                                | ends in                    |
 * | ------- | --------------------------------------------------- | -------------------------- |
 * | start   | appends `turn.started`, and calls the model beside  | read, or `unstarted`       |
 * | read    | reads the answer, feeds surfaces and the reader     | commit, `lost`, `handed-over` |
 * | commit  | appends the turn's end and waits for the log [A2]   | verdict                    |
 * | verdict | releases the claim: whether the end counted [A3]    | `completed`, …, `lost`     |
 *
 * Whatever happens, the turn ends in the log, or is left to an adopter [A6]: a run that throws
 * leaves its claim to the heartbeat, which lets it go. Only `start` may be given up while its
 * append goes on; then the claim stays held, and the turn is cancelled when the log answers.
 */

/** How long the log may take for a turn's start, in ms; then the caller is told to try later. */
const START_TIMEOUT_MS = 10_000;

/** Who reads a run while it goes on. */
export interface RunReader {
  /** Whether the HTTP caller is there, at the turn's commit. */
  presence(): CallerPresence;
  /** Calls back when the caller has left, and wants the turn to end with that. */
  onLeft(listener: () => void): void;
  /** Whether a stream's client asked for usage. */
  readonly showUsage: boolean;
  /** The turn has started, and is folded as open; told only where nothing may be told before. */
  started(): void;
  /** The answer is a stream, and begins; its start is acknowledged [A2]. */
  begin(head: ModelResponse): void;
  /** A chunk that may be sent on at once, as JSON; `id`: the place in the text behind it. */
  chunk(data: string, id: string): void;
}

/** What came of a run. `caller`: whether the turn's end says that the caller was there. */
export type TurnOutcome =
  /** Nothing has begun. */
  | { readonly type: 'unstarted'; readonly error: SbpError }
  | {
      readonly type: 'completed';
      readonly caller: CallerPresence;
      readonly head: ModelResponse;
      readonly answer: Extract<ModelAnswer, { type: 'json' | 'stream' }>;
      readonly event: Completed;
      /** Where its text ended, as `RunReader.chunk` tells it. */
      readonly place: string;
    }
  /** The model answered with an error, to be passed on as it is. */
  | {
      readonly type: 'refused';
      readonly caller: CallerPresence;
      readonly head: ModelResponse;
      readonly body: Buffer;
    }
  | { readonly type: 'failed'; readonly caller: CallerPresence; readonly error: SbpError }
  /**
   * Somebody stopped it, and its end may say that the caller was there; or its caller left and
   * wanted it to end then.
   */
  | { readonly type: 'cancelled'; readonly caller: CallerPresence }
  /**
   * Another process has the turn, or will have it: it won the claim, or this process ends, or
   * failed to go on.
   */
  | {
      readonly type: 'elsewhere';
      readonly why: 'lost' | 'handed-over' | 'failed';
      /** What the reader has got. */
      readonly sent: SentText;
    };

interface Run {
  readonly attempt: TurnAttempt;
  readonly reader: RunReader;
  readonly live: LiveTurn;
  readonly spent: SpentTokens;
  readonly place: AttemptPlace;
  readonly sent: SentSoFar;
  readonly signal: AbortSignal;
}

@Injectable()
export class TurnRunner {
  constructor(
    private readonly events: TurnEvents,
    private readonly verdict: Verdict,
    private readonly releases: SessionReleases,
    private readonly claims: Claims,
    private readonly model: ChatModel,
    private readonly answers: ModelAnswerReader,
    private readonly window: ContextWindow,
    private readonly live: LiveTurns,
    private readonly running: RunningTurns,
    private readonly options: CompletionsOptions,
  ) {}

  /** Resolves when the turn has ended here. */
  async run(attempt: TurnAttempt, reader: RunReader): Promise<TurnOutcome> {
    const { sessionId, turnId, epoch } = attempt;
    const spent = new SpentTokens();
    const running = this.running.begin(turnId, () => {
      return { caller: reader.presence(), usage: spent.usage() };
    });
    const live = this.live.begin(sessionId, turnId, epoch, () => running.drop());
    reader.onLeft(() => running.leave());
    const sent = new SentSoFar();
    try {
      const place = new AttemptPlace(turnId, epoch);
      const { signal } = running;
      return await this.start({ attempt, reader, live, spent, place, sent, signal });
    } catch (error) {
      this.claims.inUse.end(turnId);
      this.options.onProblem(`turn ${turnId} of session ${sessionId} was not finished`, error);
      return { type: 'elsewhere', why: 'failed', sent };
    } finally {
      this.live.end(live);
      running.end();
    }
  }

  private async start(run: Run): Promise<TurnOutcome> {
    const { attempt, signal } = run;
    if (signal.reason instanceof TurnStopped) return this.broken(run, signal.reason);
    const { model, options } = attempt.request;
    const fitted = this.window.fit(model, attempt.prompt, options);
    const body = upstreamRequest(model, attempt.prompt, options, fitted.from);
    run.spent.asked(body);
    const calledAt = performance.now();
    const calling = settled(this.model.complete({ body, signal }));
    if (!attempt.adopted) {
      const started = await this.appendStart(attempt);
      if (started.type === 'unstarted') return started;
      if (attempt.isConfirmed) {
        if (!(await this.verdict.started(attempt, started.position))) return this.unopened(run);
        run.reader.started();
      }
    }
    const called = await calling;
    const outcome = await this.read(run, telling(called, fitted), calledAt);
    if (outcome.type === 'completed') {
      this.window.learn(model, fitted, outcome.answer.output.usage);
    }
    return outcome;
  }

  private async appendStart(
    attempt: TurnAttempt,
  ): Promise<
    Extract<TurnAppend, { type: 'appended' }> | Extract<TurnOutcome, { readonly type: 'unstarted' }>
  > {
    const appending = settled(this.events.start(attempt));
    const started = await within(appending, START_TIMEOUT_MS);
    if (started === 'late') {
      // Its claim stays held, so that nothing runs beside what may still be written.
      appending
        .then((late) => this.cancelLate(attempt, late))
        .catch((error: unknown) => {
          this.claims.inUse.end(attempt.turnId);
          this.options.onProblem('a turn that started late was not cancelled', error);
        });
      return { type: 'unstarted', error: logSilent() };
    }
    if (started.type === 'resolved' && started.value.type === 'appended') return started.value;
    await this.letGo(attempt, null);
    return { type: 'unstarted', error: logRefusal(started) };
  }

  /** Its start did not count: it was withdrawn before, or its claim was lost. */
  private async unopened(run: Run): Promise<TurnOutcome> {
    await this.letGo(run.attempt, null);
    return this.lost(run);
  }

  private async cancelLate(attempt: TurnAttempt, late: Settled<TurnAppend>): Promise<void> {
    if (late.type === 'rejected' || late.value.type === 'rejected') {
      await this.letGo(attempt, null);
      return;
    }
    const message = 'The log answered too late: the caller had been told 503.';
    const error = turnCancelled(message);
    const cancelled = await this.events.cancel(attempt, error, {
      caller: 'connected',
      usage: null,
    });
    await this.letGo(attempt, headOf(cancelled));
  }

  private async read(
    run: Run,
    called: Settled<ModelResponse>,
    calledAt: number,
  ): Promise<TurnOutcome> {
    if (called.type === 'rejected') return this.broken(run, called.error);
    const { reader, live, spent, place, attempt } = run;
    const head = called.value;
    spent.answered();
    const answer = await this.answers.read(head, attempt.request.model, calledAt, {
      showUsage: reader.showUsage,
      begin: () => reader.begin(head),
      chunk: (data, text, isPlain) => {
        run.sent.add(text, isPlain);
        reader.chunk(data, place.id);
      },
      delta: (text) => {
        live.append(text);
        spent.said(text);
        place.append(text);
      },
      usage: (usage) => spent.counted(usage),
    });
    switch (answer.type) {
      case 'broken':
        return this.broken(run, answer.cause);
      case 'refused':
        return this.refused(run, head, answer);
      case 'json':
      case 'stream':
        return this.complete(run, head, answer);
    }
  }

  private async complete(
    run: Run,
    head: ModelResponse,
    answer: Extract<ModelAnswer, { type: 'json' | 'stream' }>,
  ): Promise<TurnOutcome> {
    const { attempt, reader } = run;
    const caller = reader.presence();
    const appended = await this.events.complete(attempt, answer.output, caller);
    if (appended.type === 'rejected') {
      const problem = `The log does not take the model's answer: ${appended.detail}`;
      return this.fail(run, new SbpError('SBP_PAYLOAD_TOO_LARGE', problem, { begun: true }), {
        reachedModel: true,
        upstreamStatus: head.status,
      });
    }
    const end = { status: 'completed', head: appended.offset, caller } as const;
    if (!(await this.verdict.counted(attempt, end))) return this.lost(run);
    const { event } = appended;
    return { type: 'completed', caller, head, answer, event, place: run.place.id };
  }

  private async refused(
    run: Run,
    head: ModelResponse,
    answer: Extract<ModelAnswer, { type: 'refused' }>,
  ): Promise<TurnOutcome> {
    const caller = run.reader.presence();
    const error = { code: 'SBP_UPSTREAM_ERROR', message: answer.message };
    const counted = await this.commitFailure(run.attempt, {
      error,
      caller,
      reachedModel: true,
      upstreamStatus: head.status,
      answer: answerToRepeat(head, answer.body),
    });
    return counted ? { type: 'refused', caller, head, body: answer.body } : this.lost(run);
  }

  /**
   * The model could not be reached, or broke off; or the run was ended, and leaves the turn to
   * whoever has it now.
   */
  private async broken(run: Run, cause: unknown): Promise<TurnOutcome> {
    const { reason } = run.signal as { readonly reason: unknown };
    if (reason instanceof ClaimLost || reason instanceof TurnStopped) {
      this.claims.inUse.end(run.attempt.turnId);
      return this.lost(run);
    }
    if (reason instanceof CallerLeft) return this.cancel(run);
    // The claim stays in use: this process lets go of all by leaving.
    if (reason instanceof HandedOver)
      return { type: 'elsewhere', why: 'handed-over', sent: run.sent };
    this.options.onModelFault(cause);
    const how = { reachedModel: mayHaveReached(cause), upstreamStatus: null };
    return this.fail(run, modelUnavailable(cause, { begun: true }), how);
  }

  /** Ends the turn as failed. */
  private async fail(
    run: Run,
    error: SbpError,
    how: Pick<Failure, 'reachedModel' | 'upstreamStatus'>,
  ): Promise<TurnOutcome> {
    const { attempt, reader } = run;
    const caller = reader.presence();
    const { code, message } = error;
    const failure = { error: { code, message }, caller, answer: null, ...how };
    const counted = await this.commitFailure(attempt, failure);
    return counted ? { type: 'failed', caller, error } : this.lost(run);
  }

  /** Ends the turn because its caller has left. */
  private async cancel(run: Run): Promise<TurnOutcome> {
    const { attempt, spent } = run;
    const message = 'The caller went away, and had asked for the turn to be cancelled then.';
    const stopped = { caller: 'gone', usage: spent.usage() } as const;
    const appended = await this.events.cancel(attempt, turnCancelled(message), stopped);
    const end = { status: 'cancelled', head: headOf(appended), caller: 'gone' } as const;
    return (await this.verdict.counted(attempt, end))
      ? { type: 'cancelled', caller: 'gone' }
      : this.lost(run);
  }

  private async lost({ attempt, sent, signal }: Run): Promise<TurnOutcome> {
    switch (await this.verdict.withoutUs(attempt)) {
      case 'cancelled':
        return { type: 'cancelled', caller: 'connected' };
      case 'elsewhere':
        return { type: 'elsewhere', why: 'lost', sent };
      case 'never-started':
        // Whoever stopped it has ended it, though the log never had it.
        return signal.reason instanceof TurnStopped
          ? { type: 'cancelled', caller: 'connected' }
          : { type: 'unstarted', error: neverStarted() };
    }
  }

  private async commitFailure(attempt: TurnAttempt, failure: Failure): Promise<boolean> {
    const appended = await this.events.fail(attempt, failure);
    const { caller } = failure;
    return this.verdict.counted(attempt, { status: 'failed', head: headOf(appended), caller });
  }

  private async letGo(
    { sessionId, turnId, epoch }: TurnAttempt,
    head: number | null,
  ): Promise<void> {
    await this.releases.release({ sessionId, turnId, epoch, head, answeredBy: null });
  }
}

/** The head of an answer says how many turns the model was not sent; no model says it. */
function telling(
  called: Settled<ModelResponse>,
  { omitted }: FittedPrompt,
): Settled<ModelResponse> {
  if (called.type === 'rejected') return called;
  const { headers, ...response } = called.value;
  const name = HEADERS.contextTurnsOmitted;
  const passed = Object.entries(headers).filter(([each]) => each !== name);
  const told = omitted === 0 ? [] : [[name, String(omitted)] as const];
  const all = Object.fromEntries([...passed, ...told]);
  return { type: 'resolved', value: { ...response, headers: all } };
}

/** An error that is longer is told again by its status alone. */
const LONGEST_REPEATED = 16 * 1024;

function answerToRepeat(head: ModelResponse, body: Buffer): UpstreamAnswer | null {
  if (body.length > LONGEST_REPEATED) return null;
  const type = head.headers['content-type'] ?? 'application/json';
  return { status: head.status, type, body: body.toString('utf8') };
}

/** Another process had its claim before the log had its start. */
function neverStarted(): SbpError {
  const message = 'Another process has taken the session over. Try again.';
  return new SbpError('SBP_UPSTREAM_UNAVAILABLE', message, { retryAfter: 1 });
}
