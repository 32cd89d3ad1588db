import type { SessionState } from '#libs/domain';
import { initialState } from '#libs/domain';
import { SbpError } from '#libs/protocol';

/**
 * What stands in the row of a session that is quarantined [A12], in the place of its state: so
 * nobody who reads the state to serve the session can act on one that is stale.
 */
export interface QuarantinedState {
  readonly phase: 'quarantined';
  readonly epoch: number;
  /** The fold of the events before; null where it had no row. */
  readonly before: SessionState | null;
}

export type StoredState = SessionState | QuarantinedState;

/** Seconds: nothing changes before an operator has done something. */
const RETRY_AFTER = 60;

/** The session has events that are not folded, so nothing is said of it and done in it [A12]. */
export class SessionQuarantined extends SbpError {
  constructor() {
    super(
      'SBP_UPSTREAM_UNAVAILABLE',
      'The session is quarantined, because its log holds an event that this server cannot fold. ' +
        'An operator must upgrade the server, or retry it: `sbp-server quarantine`.',
      { retryAfter: RETRY_AFTER },
    );
  }
}

export function quarantined(before: SessionState): QuarantinedState {
  const known = before === initialState ? null : before;
  return { phase: 'quarantined', epoch: before.epoch, before: known };
}

export function storedState(text: string): StoredState {
  return JSON.parse(text) as StoredState;
}

/** A row's state, for whoever serves the session. @throws SessionQuarantined */
export function servedState(text: string): SessionState {
  const state = storedState(text);
  if (state.phase === 'quarantined') throw new SessionQuarantined();
  return state;
}

/**
 * A row's state, also as of before a quarantine: for what never changes once it is folded, such as
 * where the session comes from.
 */
export function lastState(text: string): SessionState {
  const state = storedState(text);
  return state.phase === 'quarantined' ? stateBefore(state) : state;
}

export function stateBefore({ before }: QuarantinedState): SessionState {
  return before ?? initialState;
}
