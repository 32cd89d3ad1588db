/** A stored turn, as far as leaving it out of what a model is sent needs it. */
export interface WindowTurn {
  /** What it takes of the model's context; in whatever unit the room is given in. */
  readonly size: number;
  /** Its first message answers a call of the turn before: neither is sent without the other. */
  readonly answersCall: boolean;
}

/** The turns that a model may be sent, and how much there is room for. */
export interface Window {
  /** How many turns there are. */
  readonly count: number;
  /** Those from here on are sent however large they are. */
  readonly mustKeepFrom: number;
  readonly room: number;
}

/**
 * The first turn that is sent: the newest turns that fit, each whole. Only those that fit, and the
 * first that does not, are looked at [A11].
 */
export function firstSent(turnAt: (index: number) => WindowTurn, window: Window): number {
  const { count, room } = window;
  let mustKeep = Math.min(window.mustKeepFrom, count);
  while (mustKeep > 0 && mustKeep < count && turnAt(mustKeep).answersCall) mustKeep -= 1;
  let size = 0;
  let first = mustKeep;
  for (let index = count - 1; index >= 0; index -= 1) {
    const turn = turnAt(index);
    size += turn.size;
    if (index >= mustKeep) continue;
    if (size > room) break;
    if (!turn.answersCall) first = index;
  }
  return first;
}
