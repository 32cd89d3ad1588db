import type { TurnEntryLabel, TurnStatusLabel } from '#libs/telemetry';

/**
 * What is told of a run of a turn once it has ended, as one line of the log: ids, names and
 * numbers, and nothing that a person or a model wrote. Times are in ms.
 */
export interface TurnReport {
  readonly session: string;
  readonly turn: string;
  readonly agent: string;
  readonly principal: string;
  readonly model: string;
  /** As its answer names it; null where there is none. */
  readonly model_used: string | null;
  /** Of the run: a turn that is `parked`, `elsewhere` or `unstarted` may end later. */
  readonly status: TurnStatusLabel;
  readonly entry: TurnEntryLabel;
  /** Of tool calls, before the last answer. */
  readonly rounds: number;
  /** From the request's arrival to the run; null where this process did not take the request. */
  readonly waited_ms: number | null;
  /** From the call of the model to its first text. */
  readonly first_token_ms: number | null;
  readonly model_ms: number | null;
  /** From the request's arrival, where that is known, to the end. */
  readonly total_ms: number;
  readonly prompt_tokens: number | null;
  readonly completion_tokens: number | null;
  readonly cost_usd: number | null;
  /** Whether its caller reads a stream. */
  readonly stream: boolean;
}
