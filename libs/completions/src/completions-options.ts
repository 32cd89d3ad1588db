import type { TurnReport } from './turn/turn-report.js';

/** The fields of a request that limit its answer. Some APIs take only one of them. */
export const MAX_TOKENS_FIELDS = ['max_tokens', 'max_completion_tokens'] as const;
export type MaxTokensField = (typeof MAX_TOKENS_FIELDS)[number];

/** What the operator decided about completions, and where faults go. */
export abstract class CompletionsOptions {
  /** `always`: every request is tracked, also without an `sbp` object. */
  abstract readonly track: 'opt-in' | 'always';
  /** Whether a request that names no session belongs to its agent's live one. */
  abstract readonly implicitSession: boolean;
  /**
   * Whether every other process of this installation is known to be dead: embedded, the file lock
   * proves it.
   */
  abstract readonly othersDead: boolean;
  /** The most that a session's conversation may have, in bytes of its JSON. */
  abstract readonly maxSessionBytes: number;
  /** The most turns that run here at once. */
  abstract readonly maxTurns: number;
  /** The most turns of one principal that run or wait here at once; null for any number. */
  abstract readonly maxPrincipalTurns: number | null;
  /** The most bytes of requests and conversations that the turns here may hold together. */
  abstract readonly maxBytes: number;
  /** The field by which the model is told a surface's limit of tokens. */
  abstract readonly maxTokensField: MaxTokensField;
  /** How often the model of one turn may call tools of the surface. */
  abstract readonly maxToolRounds: number;
  /** Whether a model takes images. */
  abstract readonly takesImages: (model: string) => boolean;
  /** How long turns may go on when the process is asked to stop, in ms. */
  abstract readonly drainMs: number;
  /** Told of faults that no caller can be told of. */
  abstract readonly onProblem: (what: string, error: unknown) => void;
  /** Told why the model could not be asked, or broke off, which callers are told in part. */
  abstract readonly onModelFault: (error: unknown) => void;
  /** Told of every run of a turn, once it has ended. */
  abstract readonly onTurnEnded: (report: TurnReport) => void;
  /** Told when a turn of a dead process goes on here. */
  abstract readonly onAdopted: (sessionId: string, turnId: string) => void;
}
