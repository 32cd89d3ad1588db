import { BoundedNames } from './bounded-names.js';
import { Children } from './children.js';
import type { Metrics } from './metrics.js';

/** As a run of a turn ended; `elsewhere`: another process has the turn, or will have it. */
export type TurnStatusLabel =
  'completed' | 'failed' | 'cancelled' | 'parked' | 'unstarted' | 'elsewhere';

/** How a run came to start. */
export type TurnEntryLabel = 'at-once' | 'queued' | 'interrupt' | 'adopted';

/** What is counted of a run of a turn. */
export interface EndedTurn {
  readonly status: TurnStatusLabel;
  readonly entry: TurnEntryLabel;
  readonly model: string;
  /** In ms; null where it is not known. */
  readonly waitedMs: number | null;
  readonly firstTokenMs: number | null;
  readonly modelMs: number | null;
  readonly totalMs: number;
  readonly promptTokens: number | null;
  readonly completionTokens: number | null;
  readonly costUsd: number | null;
}

/** Models that are told apart; all others are counted as one. */
const MOST_MODELS = 50;

/** The turns that a process runs. */
export class TurnMetrics {
  private readonly turns;
  private readonly durations;
  private readonly firstToken;
  private readonly model;
  private readonly queueWait;
  private readonly tokens;
  private readonly cost;
  private readonly adoptions;
  private readonly toolCalls;
  private readonly models = new BoundedNames(MOST_MODELS);
  private running = 0;

  constructor(metrics: Metrics) {
    const turns = metrics.counter('sbp_turns_total');
    this.turns = new Children((...values) => turns.labels(...values));
    const durations = metrics.histogram('sbp_turn_duration_seconds');
    this.durations = new Children((...values) => durations.labels(...values));
    this.firstToken = metrics.histogram('sbp_turn_first_token_seconds');
    this.model = metrics.histogram('sbp_turn_model_seconds');
    this.queueWait = metrics.histogram('sbp_turn_queue_wait_seconds');
    const tokens = metrics.counter('sbp_tokens_total');
    this.tokens = new Children((...values) => tokens.labels(...values));
    const cost = metrics.counter('sbp_cost_usd_total');
    this.cost = new Children((...values) => cost.labels(...values));
    this.adoptions = metrics.counter('sbp_adoptions_total');
    const toolCalls = metrics.counter('sbp_tool_calls_total');
    this.toolCalls = new Children((...values) => toolCalls.labels(...values));
    metrics.gauge('sbp_turns_running', (gauge) => gauge.set(this.running));
  }

  begun(): void {
    this.running += 1;
  }

  ended(turn: EndedTurn): void {
    this.running -= 1;
    this.stated(turn);
  }

  /** As `ended`, of a turn that did not run here. */
  stated(turn: EndedTurn): void {
    const { status, entry, totalMs, firstTokenMs, modelMs, waitedMs } = turn;
    this.turns.of(status, entry).inc();
    this.durations.of(entry).observe(totalMs / 1_000);
    if (firstTokenMs !== null) this.firstToken.observe(firstTokenMs / 1_000);
    if (modelMs !== null) this.model.observe(modelMs / 1_000);
    if (waitedMs !== null && entry === 'queued') this.queueWait.observe(waitedMs / 1_000);
    this.spent(turn);
  }

  adopted(): void {
    this.adoptions.inc();
  }

  /** `outcome`: one of the log's own words for it. */
  toolReturned(outcome: string): void {
    this.toolCalls.of(outcome).inc();
  }

  private spent({ model, promptTokens, completionTokens, costUsd }: EndedTurn): void {
    if (promptTokens === null && completionTokens === null && costUsd === null) return;
    const label = this.models.labelOf(model);
    this.tokens.of('prompt', label).inc(promptTokens ?? 0);
    this.tokens.of('completion', label).inc(completionTokens ?? 0);
    this.cost.of(label).inc(costUsd ?? 0);
  }
}
