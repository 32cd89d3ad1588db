import type {
  CallerPresence,
  FoldedEvent,
  FoldedEventOf,
  ProcessAddress,
  TurnStatus,
} from '#libs/protocol';
import type { Change, Evolution } from '../changes.js';
import type { OpenSession, WaitingTurn } from '../session-state.js';
import { remember } from '../session-state.js';
import { holderOf } from '../surfaces/holder.js';
import { isOwed } from '../surfaces/tether.js';

/*
 * The queue of a session [A14]: the turns that wait, in the order in which they are to start. It is
 * in the fold, so whoever queues a turn waits for his own event to be folded, and knows exactly
 * whether it was taken.
 */

/** How many turns of a session may wait. */
export const MAX_WAITING = 100;

/** How many ids are known as queued once, or as not to be queued any more. */
const REMEMBERED_IDS = 128;

/** The code of a turn that somebody ended on purpose. */
const CANCELLED = 'SBP_TURN_CANCELLED';

/** How many turns have ever started: one that was withdrawn counts among the turns, and did not. */
export function startedTurns({ turns, withdrawn }: OpenSession): number {
  return turns - withdrawn;
}

/** How many turns have started and ended. */
export function endedTurns(session: OpenSession): number {
  return startedTurns(session) - (session.turn === null ? 0 : 1);
}

/** Whether a turn was taken into the queue, as far as is remembered. */
export function wasQueued({ queuedIds }: OpenSession, turnId: string): boolean {
  return queuedIds.includes(turnId);
}

/**
 * Null where it counts already, was ended before it came, or is one too many; and where the session
 * does not go on now, so that nothing waits in it.
 */
export function queued(
  session: OpenSession,
  event: FoldedEventOf<'turn.queued'>,
): Evolution<OpenSession> | null {
  const { turn_id: turnId, data, occurred_at: queuedAt } = event;
  if (wasQueued(session, turnId) || session.turn?.turnId === turnId) return null;
  if (session.waiting.length >= MAX_WAITING || session.life.type !== 'active') return null;
  const place = session.queued + 1;
  const turn: WaitingTurn = { turnId, place, holder: data.holder };
  return {
    state: {
      ...session,
      queued: place,
      waiting: [...session.waiting, turn],
      queuedIds: remember(session.queuedIds, turnId, REMEMBERED_IDS),
    },
    changes: [{ type: 'turn-queued', turnId, place, data, queuedAt }],
    poke: [],
  };
}

/** Null where the turn has started, or was withdrawn before. */
export function withdrawn(
  session: OpenSession,
  event: FoldedEventOf<'turn.withdrawn'>,
): Evolution<OpenSession> | null {
  const { turn_id: turnId, occurred_at: at } = event;
  const turn = session.waiting.find((waiting) => waiting.turnId === turnId);
  if (turn !== undefined) {
    const { code, caller } = event.data;
    return code === null
      ? forget(session, turn)
      : withdraw(session, turn, { code, caller, superseded: false, at });
  }
  if (wasQueued(session, turnId) || session.turn?.turnId === turnId) return null;
  const queuedIds = remember(session.queuedIds, turnId, REMEMBERED_IDS);
  return { state: { ...session, queuedIds }, changes: [], poke: [] };
}

/** An event ends all turns that wait, but for the one that it starts. */
export function withoutWaiting(
  session: OpenSession,
  event: Pick<FoldedEvent, 'occurred_at'>,
  started: string | null,
): Evolution<OpenSession> {
  let state = session;
  const changes: Change[] = [];
  for (const turn of session.waiting) {
    if (turn.turnId === started) continue;
    const how = { code: CANCELLED, caller: 'unknown', superseded: true } as const;
    const ended = withdraw(state, turn, { ...how, at: event.occurred_at });
    state = ended.state;
    changes.push(...ended.changes);
  }
  return { state, changes, poke: [] };
}

/**
 * Who should look at the queue now: whoever holds its head, when nothing runs any more; and whoever
 * held a turn that waits no more, unless he has started it himself.
 */
export function queuePokes(before: OpenSession, after: OpenSession): readonly ProcessAddress[] {
  if (before.waiting === after.waiting && before.turn === after.turn) return [];
  const left = before.waiting.filter(
    (turn) => !after.waiting.includes(turn) && !runsItself(after, turn),
  );
  const [head] = after.waiting;
  const isNew = before.turn !== null || before.waiting[0] !== head;
  const next = head !== undefined && after.turn === null && isNew ? [head] : [];
  return [...left, ...next].map(({ holder }) => holder);
}

function runsItself({ turn }: OpenSession, { turnId, holder }: WaitingTurn): boolean {
  return turn?.turnId === turnId && turn.runner.incarnation === holder.incarnation;
}

function forget(session: OpenSession, turn: WaitingTurn): Evolution<OpenSession> {
  const { turnId, place } = turn;
  const waiting = session.waiting.filter((other) => other !== turn);
  return {
    state: { ...session, waiting },
    changes: [{ type: 'turn-forgotten', turnId, place }],
    poke: [],
  };
}

interface Withdrawal {
  readonly code: string;
  readonly caller: CallerPresence | 'unknown';
  readonly superseded: boolean;
  readonly at: string;
}

/** It gets a number among the turns, so that it is read as they are, and leaves no message. */
function withdraw(
  session: OpenSession,
  turn: WaitingTurn,
  { code: errorCode, caller, superseded, at: endedAt }: Withdrawal,
): Evolution<OpenSession> {
  const status: TurnStatus = errorCode === CANCELLED ? 'cancelled' : 'failed';
  const owed = isOwed(session, status, caller);
  const seq = owed ? session.head + 1 : null;
  const number = session.turns + 1;
  const { turnId, place } = turn;
  const { messages: index, steps, costUsd: sessionCostUsd, bytes: sessionBytes } = session;
  return {
    state: {
      ...session,
      turns: number,
      withdrawn: session.withdrawn + 1,
      waiting: session.waiting.filter((waiting) => waiting !== turn),
      head: seq ?? session.head,
      unowed: owed ? session.unowed : remember(session.unowed, { turnId, number }),
    },
    changes: [
      {
        type: 'turn-withdrawn',
        ...{ turnId, number, place, status, seq, endedAt, errorCode, superseded },
        ...{ index, steps, sessionCostUsd, sessionBytes },
      },
    ],
    poke: holderOf(session),
  };
}
