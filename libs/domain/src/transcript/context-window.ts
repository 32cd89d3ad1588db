/** A stored turn, as far as leaving it out of what a model is sent needs it. */
export interface WindowTurn {
  /** What it takes of the model's context; in whatever unit the room is given in. */
  readonly size: number;
  /** It begins with answers to calls that an earlier turn made. */
  readonly answersCall: boolean;
  /** An assistant speaks in it, so that answers behind it are to its calls. */
  readonly mayCall: boolean;
}

/** The turns that a model may be sent, and how much there is room for. */
export interface Window {
  /** How many turns there are. */
  readonly count: number;
  /** So many at the end are sent however large they are. */
  readonly own: number;
  /** What is sent behind them answers calls: the turn that made these is sent too. */
  readonly answersCall: boolean;
  readonly room: number;
}

/**
 * The first turn that is sent: the newest that fit, each whole, and never an answer without its
 * call. Only those that fit, and the first that does not, are looked at [A11].
 */
export function firstSent(turnAt: (index: number) => WindowTurn, window: Window): number {
  const { count, own, room } = window;
  const last = Math.max(0, count - own);
  let first = last;
  let size = 0;
  let needsCaller = window.answersCall;
  let mustGoOn = own > 0 || needsCaller;
  for (let index = count - 1; index >= 0; index -= 1) {
    const turn = turnAt(index);
    size += turn.size;
    if (!mustGoOn && size > room) break;
    needsCaller = turn.answersCall || (needsCaller && !turn.mayCall);
    if (index < last && !needsCaller) first = index;
    if (index <= last && !needsCaller) mustGoOn = false;
  }
  return first;
}
