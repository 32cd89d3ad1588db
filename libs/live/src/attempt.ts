import type { ServerFrame, TurnError, TurnStatus } from '#libs/protocol';
import { v5 } from 'uuid';
import type { TextDigest } from './text-digest.js';
import { EMPTY_TEXT, beginsWith, extended } from './text-digest.js';

/** Fixed for all time: with it every replica gives an attempt the same `chunk_id`. */
const CHUNK_NAMESPACE = '6f0e5b5c-7d0e-4c57-9a55-2f1f1f5a3c1b';

/** A turn that has ended, with what its readers need of it. */
export interface EndedTurn {
  readonly turnId: string;
  readonly epoch: number;
  readonly seq: number;
  readonly status: TurnStatus;
  /** Empty unless it completed. */
  readonly text: string;
  readonly error: TurnError | null;
}

/** One attempt at a turn, as one connection has seen it. */
export interface ShownAttempt {
  readonly turnId: string;
  readonly epoch: number;
  readonly chunkId: string;
  /** The text of it that was written to the socket. */
  readonly shown: TextDigest;
  /** The attempt that was shown before it and abandoned; its first chunk says so. */
  readonly replaces: string | null;
}

type TurnFrame = Extract<ServerFrame, { type: 'TURN_CHUNK' | 'TURN_COMPLETE' }>;

/** The attempt at `epoch`; `earlier` is what the connection has seen of the turn before. */
export function beginAttempt(
  turnId: string,
  epoch: number,
  earlier: ShownAttempt | null,
): ShownAttempt {
  return attemptNamed(attemptId(turnId, epoch), turnId, epoch, earlier);
}

/** The next piece of an attempt, and the attempt with it. */
export function nextChunk(
  attempt: ShownAttempt,
  delta: string,
): { readonly attempt: ShownAttempt; readonly frame: TurnFrame } {
  const { chunkId: chunk_id, turnId: turn_id, shown, replaces } = attempt;
  return {
    frame: {
      type: 'TURN_CHUNK',
      chunk_id,
      delta,
      turn_id,
      offset: shown.codePoints,
      ...(replaces === null ? {} : { replaces }),
    },
    attempt: { ...attempt, shown: extended(shown, delta), replaces: null },
  };
}

/**
 * What a connection that has seen `shown` of an ended turn still needs of it: the missing text and
 * the end. The committed text is the truth: where what was shown is another attempt's, or is not
 * its beginning, all of it goes out as a new attempt. A turn that did not complete has no text;
 * what was shown of it stays unfinished.
 */
export function completion(shown: ShownAttempt | null, turn: EndedTurn): readonly TurnFrame[] {
  const attempt = continued(shown, turn);
  const rest = turn.text.slice(attempt.shown.units);
  const frames: TurnFrame[] = [];
  if (rest !== '' || attempt.replaces !== null) frames.push(nextChunk(attempt, rest).frame);
  const { turnId: turn_id, seq, status, error } = turn;
  const chunk_id = attempt.chunkId;
  return [
    ...frames,
    { type: 'TURN_COMPLETE', chunk_id, turn_id, seq, status, ...(error === null ? {} : { error }) },
  ];
}

function continued(shown: ShownAttempt | null, turn: EndedTurn): ShownAttempt {
  const { turnId, epoch } = turn;
  if (shown?.epoch !== epoch) return beginAttempt(turnId, epoch, shown);
  if (turn.status !== 'completed' || beginsWith(turn.text, shown.shown)) return shown;
  return attemptNamed(chunkId(turnId, `${epoch}:committed`), turnId, epoch, shown);
}

function attemptNamed(
  id: string,
  turnId: string,
  epoch: number,
  earlier: ShownAttempt | null,
): ShownAttempt {
  // An attempt of which nothing was written was never there for the client, but what it was to
  // replace still is.
  const replaces =
    earlier === null || earlier.shown.units === 0 ? (earlier?.replaces ?? null) : earlier.chunkId;
  return { turnId, epoch, chunkId: id, shown: EMPTY_TEXT, replaces };
}

/** The `chunk_id` of the attempt at a turn that was begun at `epoch`: the same on every replica. */
export function attemptId(turnId: string, epoch: number): string {
  return chunkId(turnId, String(epoch));
}

function chunkId(turnId: string, attempt: string): string {
  return v5(`${turnId}:${attempt}`, CHUNK_NAMESPACE);
}
