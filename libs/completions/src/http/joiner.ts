import type { Caller, SessionHeaders } from './caller.js';

/** A caller who is to get the answer of a turn that is not run for him. */
export interface Joiner {
  readonly caller: Caller;
  readonly session: SessionHeaders;
  readonly turnId: string;
  /** As his request named it. */
  readonly model: string;
  readonly streams: boolean;
  readonly showUsage: boolean;
  /**
   * Whether his request repeats another one, and finds the same turn where he repeats it once more.
   * Whoever asked for the turn first must not be invited to: that would be a turn of its own.
   */
  readonly isRepeat: boolean;
}
