import type { ProcessAddress } from '#libs/protocol';

/** What the sessions service must know of its installation. */
export abstract class SessionsOptions {
  /** Embedded: this process, since the file lock proves every other one dead; else null. */
  abstract readonly onlyProcess: ProcessAddress | null;
  /** After how long a session that somebody suspended by its status fails, in ms; null: never. */
  abstract readonly suspendedTimeoutMs: number | null;
  /** Told of faults that no caller can be told of. */
  abstract readonly onProblem: (what: string, error: unknown) => void;
}
