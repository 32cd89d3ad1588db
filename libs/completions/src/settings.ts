/** What the operator decided about completions. */
export abstract class CompletionsSettings {
  /** `always`: every request is tracked, also without an `sbp` object. */
  abstract readonly track: 'opt-in' | 'always';
  /** Whether a request that names no session belongs to its agent's live one. */
  abstract readonly implicitSession: boolean;
  /** Whether every other process of this installation is known to be dead: embedded, the file lock proves it. */
  abstract readonly othersDead: boolean;
}

/** Where faults go that no caller can be told of. */
export abstract class CompletionsReporter {
  abstract problem(what: string, error: unknown): void;
  /** A turn of a dead process goes on here. */
  abstract adopted(sessionId: string, turnId: string): void;
}
