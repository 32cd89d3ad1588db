import type { Actor, LogEvent } from '#libs/protocol';

/** What every command brings along: whose session, when, by whom, and ids for its events. */
export interface Issued {
  readonly sessionId: string;
  /** ISO 8601. */
  readonly at: string;
  readonly by: Actor;
  /** Makes a new UUID. */
  readonly newId: () => string;
}

export type Decision =
  | { readonly type: 'events'; readonly events: readonly [LogEvent, ...LogEvent[]] }
  | {
      readonly type: 'refused';
      /** `too-many-takeovers`: surfaces fight for the session; this one should return later. */
      readonly reason: 'too-many-takeovers';
    };

/** The beginning of each event of a command. */
export function envelope({ sessionId, at, by, newId }: Issued) {
  return { id: newId(), schema: 1 as const, session_id: sessionId, occurred_at: at, by };
}

export function decided(...events: [LogEvent, ...LogEvent[]]): Decision {
  return { type: 'events', events };
}
