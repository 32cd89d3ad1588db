import type { Usage } from '#libs/protocol';
import type { SpanAttributes, TurnStatusLabel } from '#libs/telemetry';
import { Tracing, TurnMetrics } from '#libs/telemetry';
import { Injectable } from '@nestjs/common';
import { CompletionsOptions } from '../completions-options.js';
import type { RoundsSoFar } from '../tools/rounds-so-far.js';
import type { SpentTokens } from './spent-tokens.js';
import type { TurnAttempt } from './turn-attempt.js';
import type { TurnOutcome } from './turn-outcome.js';
import type { TurnReport } from './turn-report.js';
import { TurnWatch } from './turn-watch.js';

/** What a run holds that tells how far it has come. */
export interface Observed {
  readonly spent: SpentTokens;
  readonly rounds: RoundsSoFar;
  /** Whether its caller reads a stream. */
  readonly streams: boolean;
}

/** What is told of a turn besides what its attempt says. */
interface Ending {
  readonly status: TurnStatusLabel;
  readonly modelUsed: string | null;
  readonly rounds: number;
  readonly waitedMs: number | null;
  readonly firstTokenMs: number | null;
  readonly modelMs: number | null;
  readonly totalMs: number;
  readonly usage: Usage | null;
  readonly costUsd: number | null;
  readonly stream: boolean;
}

/** Tells operators of turns: one line of the log, metrics, and spans. */
@Injectable()
export class TurnObserver {
  constructor(
    private readonly metrics: TurnMetrics,
    private readonly tracing: Tracing,
    private readonly options: CompletionsOptions,
  ) {}

  /** Runs an attempt under watch, and tells of it when it has ended. */
  async run(
    attempt: TurnAttempt,
    observed: Observed,
    work: (watch: TurnWatch) => Promise<TurnOutcome>,
  ): Promise<TurnOutcome> {
    const begunAt = performance.now();
    const watch = new TurnWatch(this.tracing, this.metrics);
    this.metrics.begun();
    return this.tracing.span('turn', async (span) => {
      if (this.tracing.isOn) span.set(namesOf(attempt));
      const outcome = await work(watch);
      watch.end();
      const ending = endingOf(attempt, outcome, observed, watch, begunAt);
      if (this.tracing.isOn) span.set({ 'sbp.status': ending.status });
      const report = reportOf(attempt, ending);
      this.metrics.ended({ ...metered(report), ...tokensOf(observed.spent.usage()) });
      this.options.onTurnEnded(report);
      return outcome;
    });
  }

  /** An orphaned turn goes on here. */
  adopted(sessionId: string, turnId: string): void {
    this.metrics.adopted();
    this.options.onAdopted(sessionId, turnId);
  }

  /** An orphaned turn was not run again. */
  gaveUp(attempt: TurnAttempt): void {
    const nothing = { firstTokenMs: null, modelMs: null, usage: null, costUsd: null };
    const rounds = attempt.rounds.length;
    const report = reportOf(attempt, {
      ...{ status: 'failed', modelUsed: null, rounds, waitedMs: null, totalMs: 0, stream: false },
      ...nothing,
    });
    this.metrics.stated(metered(report));
    this.options.onTurnEnded(report);
  }
}

function endingOf(
  { askedAt }: TurnAttempt,
  outcome: TurnOutcome,
  { spent, rounds, streams: stream }: Observed,
  { firstTokenMs, modelMs }: TurnWatch,
  begunAt: number,
): Ending {
  const output = outcome.type === 'completed' ? outcome.answer.output : null;
  return {
    status: statusOf(outcome),
    modelUsed: output?.modelUsed ?? null,
    rounds: rounds.count,
    waitedMs: askedAt === null ? null : begunAt - askedAt,
    firstTokenMs: output === null ? firstTokenMs : output.firstTokenMs,
    modelMs: output?.modelMs ?? modelMs,
    totalMs: performance.now() - (askedAt ?? begunAt),
    usage: output?.usage ?? spent.usage(),
    costUsd: output?.costUsd ?? null,
    stream,
  };
}

function statusOf({ type }: TurnOutcome): TurnStatusLabel {
  // The model has refused it.
  return type === 'refused' ? 'failed' : type;
}

function reportOf(attempt: TurnAttempt, ending: Ending): TurnReport {
  const { sessionId, turnId, opener, request, adopted, entry } = attempt;
  const { promptTokens, completionTokens } = tokensOf(ending.usage);
  return {
    session: sessionId,
    turn: turnId,
    agent: opener.agentId,
    principal: opener.principal,
    model: request.model,
    model_used: ending.modelUsed,
    status: ending.status,
    entry: adopted ? 'adopted' : entry,
    rounds: ending.rounds,
    waited_ms: rounded(ending.waitedMs),
    first_token_ms: rounded(ending.firstTokenMs),
    model_ms: rounded(ending.modelMs),
    total_ms: Math.round(ending.totalMs),
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    cost_usd: ending.costUsd,
    stream: ending.stream,
  };
}

function rounded(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms);
}

function tokensOf(usage: Usage | null) {
  return {
    promptTokens: usage?.prompt_tokens ?? null,
    completionTokens: usage?.completion_tokens ?? null,
  };
}

function metered(report: TurnReport) {
  const { status, entry } = report;
  return {
    status,
    entry,
    model: report.model_used ?? report.model,
    waitedMs: report.waited_ms,
    firstTokenMs: report.first_token_ms,
    modelMs: report.model_ms,
    totalMs: report.total_ms,
    promptTokens: report.prompt_tokens,
    completionTokens: report.completion_tokens,
    costUsd: report.cost_usd,
  };
}

function namesOf({ sessionId, turnId, epoch, adopted, entry }: TurnAttempt): SpanAttributes {
  return {
    'sbp.session_id': sessionId,
    'sbp.turn_id': turnId,
    'sbp.epoch': epoch,
    'sbp.entry': adopted ? 'adopted' : entry,
  };
}
