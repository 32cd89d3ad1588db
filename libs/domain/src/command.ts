import type { Actor, LogEvent } from '#libs/protocol';
import type { RoamingCommand } from './roaming/decide-roaming.js';
import type { SurfaceCommand } from './surfaces/decide-surfaces.js';
import type { TurnCommand } from './turns/decide-turns.js';

/** What every command brings along: whose session, when, by whom, and ids for its events. */
export interface Issued {
  readonly sessionId: string;
  /** ISO 8601. */
  readonly at: string;
  readonly by: Actor;
  /** Makes a new UUID. */
  readonly newId: () => string;
}

/** What is to be done, without what every command brings along. */
export type PlainCommand = TurnCommand | SurfaceCommand | RoamingCommand;
export type PlainCommandOf<T extends PlainCommand['type']> = Extract<PlainCommand, { type: T }>;

export type Command = Issued & PlainCommand;

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
