import type { ProcessAddress } from '#libs/protocol';

/** What the sessions service must know of its installation. */
export abstract class SessionsSettings {
  /** Embedded: this process, since the file lock proves every other one dead; else null. */
  abstract readonly onlyProcess: ProcessAddress | null;
}

/** Where faults go that no caller can be told of. */
export abstract class SessionsReporter {
  abstract problem(what: string, error: unknown): void;
}
