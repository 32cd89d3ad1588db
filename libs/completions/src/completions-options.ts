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
  /** Told of faults that no caller can be told of. */
  abstract readonly onProblem: (what: string, error: unknown) => void;
  /** Told when a turn of a dead process goes on here. */
  abstract readonly onAdopted: (sessionId: string, turnId: string) => void;
}
