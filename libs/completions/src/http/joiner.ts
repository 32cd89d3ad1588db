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
}
