/**
 * What one connection has shown that it read.
 *
 * A PING goes out after the drain and after the end of every live turn, at most one outstanding.
 * Its horizon is the last `seq` written before it, and its PONG acknowledges up to there, never
 * later output. The WebSocket's own pong is answered by a client's library before its code has read
 * anything: it stands in only where the client never sent a PONG and did not claim to
 * (`acknowledges`), and only when it has stayed `STAY_MS` after it or then closes cleanly.
 *
 * A client answers PINGs in their order, so a PONG answers the oldest PING that has none. A PING
 * that the library's pong stood in for has none yet: where its PONG still comes, it must not count
 * for the next PING, because the client may not have read what was written between the two.
 */
export interface Acknowledgement {
  readonly acknowledges: boolean;
  readonly everPonged: boolean;
  /** The last `seq` written. */
  readonly written: number;
  /** The last `seq` acknowledged on this connection. */
  readonly acknowledged: number;
  /**
   * PINGs that the library's pong stood in for and whose PONG has not come. A count is enough: what
   * their PONGs would acknowledge is acknowledged already.
   */
  readonly unponged: number;
  readonly ping: Ping;
}

export type Ping =
  | { readonly type: 'none' }
  | { readonly type: 'outstanding'; readonly horizon: number; readonly libraryPong: boolean };

export type AcknowledgementInput =
  | { readonly type: 'written'; readonly seq: number }
  | { readonly type: 'pinged' }
  | { readonly type: 'pong' }
  | { readonly type: 'library-pong' }
  /** `STAY_MS` have passed since the library's pong to the outstanding PING. */
  | { readonly type: 'stayed' }
  | { readonly type: 'closed-cleanly' };

/** How long a client must stay after its library's pong for it to count, in ms. */
export const STAY_MS = 2_000;

export function beginAcknowledgement(cursor: number, acknowledges: boolean): Acknowledgement {
  return {
    acknowledges,
    everPonged: false,
    written: cursor,
    acknowledged: cursor,
    unponged: 0,
    ping: { type: 'none' },
  };
}

/** A surface attaches anew on one connection: what the connection has shown still holds. */
export function continueAcknowledgement(
  state: Acknowledgement,
  cursor: number,
  acknowledges: boolean,
): Acknowledgement {
  return {
    ...state,
    acknowledges: acknowledges || state.acknowledges,
    written: Math.max(cursor, state.written),
    acknowledged: Math.max(cursor, state.acknowledged),
  };
}

export function acknowledgeInput(
  state: Acknowledgement,
  input: AcknowledgementInput,
): Acknowledgement {
  const { ping } = state;
  switch (input.type) {
    case 'written':
      return { ...state, written: Math.max(state.written, input.seq) };
    case 'pinged':
      return ping.type === 'outstanding'
        ? state
        : { ...state, ping: { type: 'outstanding', horizon: state.written, libraryPong: false } };
    case 'pong':
      return ponged({ ...state, everPonged: true });
    case 'library-pong':
      return ping.type === 'outstanding'
        ? { ...state, ping: { ...ping, libraryPong: true } }
        : state;
    case 'stayed':
    case 'closed-cleanly':
      return mayStandIn(state)
        ? acknowledgeHorizon({ ...state, unponged: state.unponged + 1 })
        : state;
  }
}

/** Whether output was written that no PING covers yet, and a PING may go out for it now. */
export function needsPing(state: Acknowledgement): boolean {
  return state.ping.type === 'none' && state.written > state.acknowledged;
}

function ponged(state: Acknowledgement): Acknowledgement {
  return state.unponged > 0
    ? { ...state, unponged: state.unponged - 1 }
    : acknowledgeHorizon(state);
}

function acknowledgeHorizon(state: Acknowledgement): Acknowledgement {
  if (state.ping.type === 'none') return state;
  return {
    ...state,
    ping: { type: 'none' },
    acknowledged: Math.max(state.acknowledged, state.ping.horizon),
  };
}

function mayStandIn({ ping, acknowledges, everPonged }: Acknowledgement): boolean {
  return ping.type === 'outstanding' && ping.libraryPong && !acknowledges && !everPonged;
}
