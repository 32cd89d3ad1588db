import type { Message } from '#libs/protocol';

/**
 * What came of a turn, as far as its messages are concerned. `refused`: the model itself did not
 * take them, so they are left out of what it is sent later. An open turn is `unanswered`.
 */
export type TurnOutcome = 'answered' | 'unanswered' | 'refused';

/**
 * A turn's part of the stored conversation, as its caller saw it: its client view [A20]. Its
 * messages are numbered from 0; a turn has no part where nothing of it is visible.
 */
export interface TurnView {
  readonly outcome: TurnOutcome;
  /** How many messages it has. */
  readonly size: number;
  /** The place in the stored conversation of message `at`; of `size`, the place behind the last. */
  placeOf(at: number): number;
  /** Its messages. Reading them costs something, so only what must be compared is read. */
  messages(): readonly Message[];
  /** What the model said besides its last message, with `n` above 1: a client may go on from it. */
  alternatives(): readonly Message[];
}

/** The stored conversation, as far as deciding needs it. */
export interface StoredTranscript {
  readonly system: readonly Message[];
  /** Messages in all. */
  readonly count: number;
  /** Bytes of the first `keeps` messages, as JSON. */
  bytesOf(keeps: number): number;
  /** The turns that brought them, in order. */
  readonly turns: readonly TurnView[];
}

/** Statuses from 400 on that say nothing about the messages: the same ones may pass later. */
const PASSING = new Set([408, 409, 425, 429]);

/** Whether the model refused a request for what it was, and would do so again. */
export function isRefusal(reachedModel: boolean, status: number | null): boolean {
  return reachedModel && status !== null && status >= 400 && status < 500 && !PASSING.has(status);
}
