import type { MadeRound, SessionState } from '#libs/domain';
import type { ModelResponse } from '#libs/llm';
import { ChatModel } from '#libs/llm';
import type { LiveTurn } from '#libs/live';
import { AttemptPlace, LiveTurns } from '#libs/live';
import type { Message, PendingCall } from '#libs/protocol';
import { HEADERS, SbpError } from '#libs/protocol';
import { Claims } from '#libs/store';
import { within } from '#libs/timing';
import { SessionReleases } from '#libs/session-log';
import { Injectable } from '@nestjs/common';
import { CompletionsOptions } from '../completions-options.js';
import { adaptedRequest } from '../model/adapted-request.js';
import { answerToRepeat } from '../model/answer-to-repeat.js';
import type { FittedPrompt } from '../model/context-window.js';
import { ContextWindow } from '../model/context-window.js';
import type { ModelAnswer } from '../model/model-answer.js';
import { ModelAnswerReader } from '../model/model-answer.js';
import { ShownChunks, chunkOf } from '../model/shown-chunks.js';
import { modelUnavailable, mayHaveReached } from '../model/model-unavailable.js';
import { upstreamRequest } from '../model/upstream-request.js';
import { madeCalls, partedAnswer } from '../tools/made-round.js';
import type { Offer } from '../tools/offer.js';
import { ParkedTurns } from '../tools/parked-turns.js';
import { RoundsSoFar } from '../tools/rounds-so-far.js';
import type { WholeAnswer } from '../tools/rounds-so-far.js';
import { ToolOffers } from '../tools/tool-offers.js';
import { ToolRounds } from '../tools/tool-rounds.js';
import { CallerLeft, ClaimLost, HandedOver, RunningTurns, TurnStopped } from './running-turns.js';
import type { Settled } from './settled.js';
import { settled } from './settled.js';
import { logRefusal, logSilent, neverStarted } from './log-refusal.js';
import { SentSoFar } from './sent-text.js';
import { SpentTokens } from './spent-tokens.js';
import type { TurnAttempt } from './turn-attempt.js';
import type { RunReader, TurnOutcome } from './turn-outcome.js';
import type { Failure, TurnAppend } from './turn-events.js';
import { TurnEvents, headOf, turnCancelled } from './turn-events.js';
import { TurnObserver } from './turn-observer.js';
import type { TurnWatch } from './turn-watch.js';
import { Verdict } from './verdict.js';

/*
 * Running a turn, from a won claim to its release. The runner feeds a live turn and commits; it
 * knows no caller, and nobody who reads the answer can hold it up [A15].
 *
 * | phase   | does                                              | ends in                      |
 * | ------- | ------------------------------------------------- | ---------------------------- |
 * | start   | appends `turn.started`, and asks the model beside | read, or `unstarted`         |
 * | read    | reads the answer, feeds surfaces and the reader   | round, commit, `elsewhere`   |
 * | round   | calls tools of the surface, and asks again [A18]  | read, commit, park           |
 * | park    | leaves a turn whose calls all wait [A19]          | `parked`, or `elsewhere`     |
 * | commit  | appends the turn's end and waits for the log [A2] | verdict                      |
 * | verdict | releases the claim: whether the end counted [A3]  | `completed`, …, `elsewhere`  |
 *
 * Whatever happens, the turn ends in the log, or is left to an adopter [A6]: a run that throws
 * leaves its claim to the heartbeat, which lets it go. Only `start` may be given up while its
 * append goes on, where a caller is told so; then the claim stays held, and the turn is cancelled
 * when the log answers.
 */

/** How long the log may take for a turn's start, in ms; then a caller is told to try later. */
const START_TIMEOUT_MS = 10_000;

interface Run {
  readonly attempt: TurnAttempt;
  readonly reader: RunReader;
  readonly live: LiveTurn;
  readonly spent: SpentTokens;
  readonly place: AttemptPlace;
  readonly sent: SentSoFar;
  readonly rounds: RoundsSoFar;
  readonly watch: TurnWatch;
  readonly signal: AbortSignal;
}

/** One call of the model that is under way. */
interface Asked {
  readonly offer: Offer;
  readonly fitted: FittedPrompt;
  /** In ms of a clock that only rises. */
  readonly calledAt: number;
  readonly calling: Promise<Settled<ModelResponse>>;
}

type Started = Extract<TurnAppend | TurnOutcome, { readonly type: 'appended' | 'unstarted' }>;
type Ended = { readonly type: 'ended'; readonly outcome: TurnOutcome };
type Heard = {
  readonly type: 'heard';
  readonly head: ModelResponse;
  readonly answer: WholeAnswer;
};

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
    private readonly offers: ToolOffers,
    private readonly tools: ToolRounds,
    private readonly parked: ParkedTurns,
    private readonly observer: TurnObserver,
    private readonly options: CompletionsOptions,
  ) {}

  /** Resolves when the turn has ended here. */
  async run(attempt: TurnAttempt, reader: RunReader): Promise<TurnOutcome> {
    const observed = {
      spent: new SpentTokens(),
      rounds: new RoundsSoFar([]),
      streams: reader.streams,
    };
    return this.observer.run(attempt, observed, (watch) =>
      this.runWatched(attempt, reader, { ...observed, watch }),
    );
  }

  private async runWatched(
    attempt: TurnAttempt,
    reader: RunReader,
    kept: Pick<Run, 'spent' | 'rounds' | 'watch'>,
  ): Promise<TurnOutcome> {
    const { sessionId, turnId, epoch } = attempt;
    const { spent } = kept;
    const running = this.running.begin(turnId, () => {
      return { caller: reader.presence(), usage: spent.usage() };
    });
    const live = this.live.begin(sessionId, turnId, epoch, () => running.drop());
    reader.onLeft(() => running.leave());
    const sent = new SentSoFar();
    try {
      const place = new AttemptPlace(turnId, epoch);
      const { signal } = running;
      return await this.start({ ...kept, attempt, reader, live, place, sent, signal });
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
    if (attempt.rounds.length > 0) return this.resume(run);
    const ask = () => settled(this.ask(run, attempt.state));
    const asking = run.reader.isAwaited() ? ask() : null;
    if (!attempt.adopted) {
      const started = await run.watch.phase('turn start', () => this.appendStart(run));
      if (started.type === 'unstarted') return started;
      if (attempt.isConfirmed) {
        if (!(await this.verdict.started(attempt, started.position))) return this.unopened(run);
        run.reader.started();
      }
    }
    const asked = await (asking ?? ask());
    if (asked.type === 'rejected') throw asked.error;
    return this.converse(run, asked.value);
  }

  /** An adopted turn goes on behind the rounds of it that are over [A18]. */
  private async resume(run: Run): Promise<TurnOutcome> {
    const { rounds, sent } = run;
    const outcome = () => this.tools.outcome(run.attempt, run.signal);
    const waited = await settled(run.watch.toolRound(outcome));
    if (waited.type === 'rejected') return this.givenUp(run, waited.error);
    if (waited.value.type === 'waiting') return this.park(run, waited.value.calls);
    if (waited.value.type !== 'returned') return this.lost(run);
    rounds.take(waited.value.rounds);
    this.say(run, rounds.said);
    sent.add(rounds.said, true);
    return this.converse(run, await this.ask(run, waited.value.state));
  }

  /** Calls the model with what it has been told so far. `state`: the session as it is now. */
  private async ask(run: Run, state: SessionState): Promise<Asked> {
    const { attempt, rounds, signal } = run;
    const { model } = attempt.request;
    const offer = await this.offers.of(attempt, rounds.count + 1, state);
    const adapted = adaptedRequest(attempt, offer.options, this.options.maxTokensField);
    const messages = [...adapted.prompt.messages, ...rounds.messages];
    const prompt = { ...adapted.prompt, messages };
    const fitted = this.window.fit(model, prompt, adapted.options);
    const body = upstreamRequest(model, prompt, adapted.options, fitted.from);
    run.spent.asked(body);
    const calledAt = performance.now();
    run.watch.asked(calledAt);
    return { offer, fitted, calledAt, calling: settled(this.model.complete({ body, signal })) };
  }

  /** From the model's first answer to the turn's end, round by round. */
  private async converse(run: Run, first: Asked): Promise<TurnOutcome> {
    const { attempt, rounds } = run;
    for (let asked = first; ;) {
      const heard = await this.read(run, asked);
      if (heard.type === 'ended') return heard.outcome;
      const { head, answer } = heard;
      this.window.learn(attempt.request.model, asked.fitted, answer.output.usage);
      const [message] = answer.output.messages;
      const { surfaces, own } = partedAnswer(message ?? NOTHING_SAID, asked.offer);
      if (surfaces === null) return this.complete(run, head, rounds.whole(answer, own));
      if (rounds.count >= this.options.maxToolRounds) return this.calledTooOften(run, head);
      rounds.heard(answer);
      const made = this.roundOf(run, asked.offer, surfaces, answer);
      const calling = run.watch.toolRound(() => this.tools.call(attempt, made, run.signal));
      const called = await settled(calling);
      if (called.type === 'rejected') return this.givenUp(run, called.error);
      const { value: outcome } = called;
      if (outcome.type === 'lost') return this.lost(run);
      if (outcome.type === 'waiting') return this.park(run, outcome.calls);
      if (outcome.type === 'rejected') return this.notTaken(run, head, outcome.detail);
      rounds.take(outcome.rounds);
      if (own !== null) return this.complete(run, head, rounds.mixed(answer, own));
      this.passHeldText(run, answer);
      asked = await this.ask(run, outcome.state);
    }
  }

  /** Leaves the turn to whoever finds that one of its calls waits no more [A19]. */
  private async park(run: Run, calls: readonly PendingCall[]): Promise<TurnOutcome> {
    const { sessionId, turnId, epoch } = run.attempt;
    const head = headOf(await this.events.park(run.attempt));
    this.parked.add(sessionId);
    const release = { sessionId, turnId, epoch, head, answeredBy: null };
    const isParked = await this.releases.release(release);
    return isParked ? { type: 'parked', calls } : this.lost(run);
  }

  /** The run was ended; another fault is none of the model's, and leaves the turn to an adopter. */
  private givenUp(run: Run, cause: unknown): Promise<TurnOutcome> {
    if (!run.signal.aborted) throw cause;
    return this.broken(run, cause);
  }

  private roundOf(
    { attempt, rounds }: Run,
    offer: Offer,
    message: Message,
    { output }: WholeAnswer,
  ): MadeRound {
    const { toolPolicy, model } = attempt.request;
    const calls = madeCalls(message, offer, new Set(toolPolicy.approve));
    const { usage, costUsd } = output;
    return {
      round: rounds.count + 1,
      message,
      calls,
      onSurfaceLost: toolPolicy.on_surface_lost,
      waitMs: toolPolicy.wait_seconds * 1_000,
      resultBytes: rounds.room(attempt.state, this.options.maxSessionBytes),
      showsImages: this.options.takesImages(model),
      usage,
      costUsd,
    };
  }

  /** Text that came with the end of a round, which no caller is told. */
  private passHeldText(run: Run, answer: WholeAnswer): void {
    const { reader, rounds, sent, place } = run;
    if (answer.type !== 'stream' || answer.heldText === '') return;
    const { heldText: text, head } = answer;
    const { modelUsed } = answer.output;
    sent.add(text, true);
    const chunk = chunkOf(rounds.before?.head ?? head, modelUsed, text);
    reader.chunk(JSON.stringify(chunk), place.id);
  }

  private say({ live, spent, place, watch }: Run, text: string): void {
    watch.said();
    live.append(text);
    spent.said(text);
    place.append(text);
  }

  private async appendStart({ attempt, reader }: Run): Promise<Started> {
    const appending = settled(this.events.start(attempt));
    const inTime = await within(appending, START_TIMEOUT_MS);
    if (inTime === 'late' && reader.isAwaited()) {
      // Its claim stays held, so that nothing runs beside what may still be written.
      appending
        .then((late) => this.cancelLate(attempt, late))
        .catch((error: unknown) => {
          this.claims.inUse.end(attempt.turnId);
          this.options.onProblem('a turn that started late was not cancelled', error);
        });
      return { type: 'unstarted', error: logSilent() };
    }
    const started = inTime === 'late' ? await appending : inTime;
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
    { calling, calledAt, fitted, offer }: Asked,
  ): Promise<Ended | Heard> {
    const called = telling(await calling, fitted);
    if (called.type === 'rejected') {
      run.watch.heard(true);
      return ended(await this.broken(run, called.error));
    }
    const { reader, spent, place, attempt, rounds } = run;
    const head = called.value;
    spent.answered();
    const answer = await this.answers.read(head, attempt.request.model, calledAt, {
      showUsage: reader.showUsage,
      chunks: new ShownChunks((name) => offer.isSurfaces(name), rounds.before),
      begin: () => {
        if (rounds.before === null) reader.begin(head);
      },
      chunk: (data, text, isPlain) => {
        run.sent.add(text, isPlain);
        reader.chunk(data, place.id);
      },
      delta: (text) => this.say(run, text),
      usage: (usage) => spent.counted(usage),
    });
    run.watch.heard(answer.type === 'broken' || answer.type === 'refused');
    switch (answer.type) {
      case 'broken':
        return ended(await this.broken(run, answer.cause));
      case 'refused':
        return ended(await this.refused(run, head, answer));
      case 'json':
      case 'stream':
        return { type: 'heard', head, answer };
    }
  }

  private async complete(run: Run, head: ModelResponse, answer: WholeAnswer): Promise<TurnOutcome> {
    const { attempt, reader } = run;
    const caller = reader.presence();
    const appended = await run.watch.phase('turn end', () =>
      this.events.complete(attempt, answer.output, caller),
    );
    if (appended.type === 'rejected') return this.notTaken(run, head, appended.detail);
    const end = { status: 'completed', head: appended.offset, caller } as const;
    if (!(await this.verdict.counted(attempt, end))) return this.lost(run);
    const { event } = appended;
    return { type: 'completed', caller, head, answer, event, place: run.place.id };
  }

  /** The log will never take what the model said. */
  private notTaken(run: Run, { status }: ModelResponse, detail: string): Promise<TurnOutcome> {
    const problem = `The log does not take the model's answer: ${detail}`;
    return this.fail(run, new SbpError('SBP_PAYLOAD_TOO_LARGE', problem, { begun: true }), {
      reachedModel: true,
      upstreamStatus: status,
    });
  }

  private calledTooOften(run: Run, { status }: ModelResponse): Promise<TurnOutcome> {
    const problem = `The model called tools again after ${this.options.maxToolRounds} rounds.`;
    return this.fail(run, new SbpError('SBP_UPSTREAM_UNAVAILABLE', problem, { begun: true }), {
      reachedModel: true,
      upstreamStatus: status,
    });
  }

  private async refused(
    run: Run,
    head: ModelResponse,
    answer: Extract<ModelAnswer, { type: 'refused' }>,
  ): Promise<TurnOutcome> {
    const caller = run.reader.presence();
    const error = { code: 'SBP_UPSTREAM_ERROR', message: answer.message };
    const counted = await this.commitFailure(run, {
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
    const caller = run.reader.presence();
    const { code, message } = error;
    const failure = { error: { code, message }, caller, answer: null, ...how };
    const counted = await this.commitFailure(run, failure);
    return counted ? { type: 'failed', caller, error } : this.lost(run);
  }

  /** Ends the turn because its caller has left. */
  private async cancel(run: Run): Promise<TurnOutcome> {
    const { attempt, spent } = run;
    const message = 'The caller went away, and had asked for the turn to be cancelled then.';
    const stopped = { caller: 'gone', usage: spent.usage() } as const;
    const appended = await run.watch.phase('turn end', () =>
      this.events.cancel(attempt, turnCancelled(message), stopped),
    );
    const end = { status: 'cancelled', head: headOf(appended), caller: 'gone' } as const;
    return (await this.verdict.counted(attempt, end))
      ? { type: 'cancelled', caller: 'gone' }
      : this.lost(run);
  }

  private async lost({ attempt, sent }: Run): Promise<TurnOutcome> {
    switch (await this.verdict.withoutUs(attempt)) {
      case 'cancelled':
        return { type: 'cancelled', caller: 'connected' };
      case 'elsewhere':
        return { type: 'elsewhere', why: 'lost', sent };
      case 'never-started':
        return { type: 'unstarted', error: neverStarted() };
    }
  }

  private async commitFailure({ attempt, watch }: Run, failure: Failure): Promise<boolean> {
    const appended = await watch.phase('turn end', () => this.events.fail(attempt, failure));
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

const NOTHING_SAID: Message = { role: 'assistant', content: '' };

function ended(outcome: TurnOutcome): Ended {
  return { type: 'ended', outcome };
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
