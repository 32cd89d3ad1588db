import type { Tracing, TraceSpan, TurnMetrics } from '#libs/telemetry';
import type { RoundOutcome } from '../tools/tool-rounds.js';

/** What one run of a turn does, as it does it. */
export class TurnWatch {
  /** From the first call of the model to its first text, in ms; null before any. */
  firstTokenMs: number | null = null;
  /** What the model has taken so far, in ms; null where it was not called. */
  modelMs: number | null = null;
  private firstCalledAt: number | null = null;
  private calledAt = 0;
  private asking: TraceSpan | null = null;

  constructor(
    private readonly tracing: Tracing,
    private readonly metrics: TurnMetrics,
  ) {}

  phase<T>(name: string, work: () => Promise<T>): Promise<T> {
    return this.tracing.span(name, work);
  }

  /** The model is called. */
  asked(calledAt: number): void {
    this.calledAt = calledAt;
    this.firstCalledAt ??= calledAt;
    if (this.tracing.isOn) this.asking = this.tracing.begin('model round');
  }

  /** The model has said something. */
  said(): void {
    if (this.firstTokenMs === null && this.firstCalledAt !== null) {
      this.firstTokenMs = performance.now() - this.firstCalledAt;
    }
  }

  /** The model's answer has ended, or broke off. */
  heard(failed: boolean): void {
    this.modelMs = (this.modelMs ?? 0) + performance.now() - this.calledAt;
    this.asking?.end(failed);
    this.asking = null;
  }

  /** Calls tools of the surface, and counts what comes of them. */
  async toolRound(call: () => Promise<RoundOutcome>): Promise<RoundOutcome> {
    const outcome = await this.phase('tool calls', call);
    const calls = outcome.type === 'returned' ? (outcome.rounds.at(-1)?.calls ?? []) : [];
    for (const each of calls) this.metrics.toolReturned(each.outcome ?? 'cancelled');
    return outcome;
  }

  end(): void {
    this.asking?.end(true);
    this.asking = null;
  }
}
