import type { CallerPresence, FoldedEventOf, Usage } from '#libs/protocol';
import type { Change, Evolution } from '../changes.js';
import type { OpenSession, OpenTurn } from '../session-state.js';
import { remember } from '../session-state.js';
import { holderOf } from '../surfaces/holder.js';
import { isOwed } from '../surfaces/tether.js';
import { withoutCallsOf } from '../tools/evolve-tools.js';
import { isOfAttempt } from './attempt.js';
import { isRefusal } from '../transcript/stored-transcript.js';
import { startedTurns, wasQueued, withoutWaiting } from './queue.js';

/** Its epoch is above the session's. */
export function started(
  session: OpenSession,
  event: FoldedEventOf<'turn.started'>,
): Evolution<OpenSession> {
  const { data } = event;
  const place = session.waiting.find(({ turnId }) => turnId === event.turn_id)?.place ?? null;
  // It was withdrawn before, or its key given to another; what its runner sends later must not
  // count, too.
  if (place === null && (data.queued || wasQueued(session, event.turn_id))) {
    return { state: { ...session, epoch: event.epoch }, changes: [], poke: [] };
  }
  // A start of a higher epoch ends the turn that was open; no writer has to say so.
  const cut = session.turn === null ? null : close(session, session.turn, superseded(event));
  const closed = cut?.state ?? session;
  const ends = data.interrupt ? withoutWaiting(closed, event, event.turn_id) : null;
  const base = ends?.state ?? closed;
  const number = base.turns + 1;
  // A writer that has not seen the last turn must not cut it out of the transcript.
  const isStale = data.after !== startedTurns(session);
  const firstIndex = isStale ? base.messages : Math.min(data.keeps, base.messages);
  const endIndex = firstIndex + data.message_count;
  const systemTurn = data.replaces_system ? number : base.systemTurn;
  const { turn_id: turnId, epoch } = event;
  const { runner } = data;
  const change: Change = {
    type: 'turn-started',
    turnId,
    number,
    place,
    epoch,
    runner,
    startedAt: event.occurred_at,
    model: data.model,
    checkpointEvery: data.checkpoint_every,
    firstIndex,
    endIndex,
    cuts: firstIndex < base.messages,
    systemTurn,
  };
  return {
    state: {
      ...base,
      epoch,
      turn: {
        turnId,
        number,
        epoch,
        runner,
        adoptions: 0,
        rounds: 0,
        resultBytes: 0,
        parked: false,
        startedAt: event.occurred_at,
      },
      begun: true,
      turns: number,
      waiting:
        place === null ? base.waiting : base.waiting.filter((turn) => turn.turnId !== turnId),
      messages: endIndex,
      baseEnd: Math.min(base.baseEnd, firstIndex),
      bytes: (firstIndex < base.messages ? data.kept_bytes : base.bytes) + data.bytes,
      systemTurn,
    },
    changes: [...(cut?.changes ?? []), ...(ends?.changes ?? []), change],
    poke: holderOf(session),
  };
}

/** Its epoch is above the session's. */
export function adopted(
  session: OpenSession,
  event: FoldedEventOf<'turn.adopted'>,
): Evolution<OpenSession> {
  const { turn } = session;
  const { epoch } = event;
  // The epoch rises even where the turn is unknown or ended, because what its dead runner still
  // sends must not count.
  if (turn?.turnId !== event.turn_id) {
    return { state: { ...session, epoch }, changes: [], poke: [] };
  }
  const { runner, handed_over: handedOver } = event.data;
  // A runner that left it on purpose says nothing about the turn, however often that happens.
  const adoptions = turn.adoptions + (handedOver || turn.parked ? 0 : 1);
  return {
    state: { ...session, epoch, turn: { ...turn, epoch, runner, adoptions, parked: false } },
    changes: [{ type: 'turn-adopted', turnId: turn.turnId, number: turn.number, epoch, runner }],
    poke: holderOf(session),
  };
}

/** Null unless it is of the attempt that is open, the first time. */
export function parked(
  session: OpenSession,
  event: FoldedEventOf<'turn.parked'>,
): Evolution<OpenSession> | null {
  const { turn } = session;
  if (!isOfAttempt(session, event) || turn === null || turn.parked) return null;
  const { turnId, number } = turn;
  return {
    state: { ...session, turn: { ...turn, parked: true } },
    changes: [{ type: 'turn-parked', turnId, number }],
    poke: [],
  };
}

type End = FoldedEventOf<'turn.completed' | 'turn.failed' | 'turn.cancelled'>;

/** Null unless it is of the attempt that is open: the first end of a turn wins. */
export function ended(session: OpenSession, event: End): Evolution<OpenSession> | null {
  const { turn } = session;
  if (!isOfAttempt(session, event) || turn === null) return null;
  return close(session, turn, endingOf(event));
}

/**
 * Somebody took the turn's claim to stop it [A13]. Its epoch is above the session's, and rises even
 * where the turn has ended: of two ends the first wins, and what comes later of its attempt must
 * not count.
 */
export function stopped(
  session: OpenSession,
  event: FoldedEventOf<'turn.cancelled'>,
): Evolution<OpenSession> {
  const { turn } = session;
  const { epoch } = event;
  const raised = { ...session, epoch };
  if (turn?.turnId !== event.turn_id) return { state: raised, changes: [], poke: [] };
  return close(raised, { ...turn, epoch }, endingOf(event));
}

/** Null where the turn is owed already, or was forgotten. */
export function undelivered(session: OpenSession, turnId: string): Evolution<OpenSession> | null {
  const turn = session.unowed.find((unowed) => unowed.turnId === turnId);
  if (turn === undefined) return null;
  const seq = session.head + 1;
  return {
    state: { ...session, head: seq, unowed: session.unowed.filter((other) => other !== turn) },
    changes: [{ type: 'turn-owed', turnId, number: turn.number, seq }],
    poke: holderOf(session),
  };
}

type Ending = { readonly at: string; readonly caller: CallerPresence | 'unknown' } & (
  | {
      readonly status: 'failed' | 'cancelled';
      readonly errorCode: string;
      readonly usage: Usage | null;
      readonly refused: boolean;
      readonly unreached: boolean;
      readonly superseded: boolean;
    }
  | { readonly status: 'completed'; readonly output: FoldedEventOf<'turn.completed'>['data'] }
);

function endingOf(event: End): Ending {
  const at = event.occurred_at;
  const { caller } = event.data;
  switch (event.type) {
    case 'turn.completed':
      return { status: 'completed', caller, output: event.data, at };
    case 'turn.failed': {
      const { code: errorCode, reached_model, upstream_status } = event.data;
      const refused = isRefusal(reached_model, upstream_status);
      const unreached = !reached_model;
      const how = { errorCode, usage: null, refused, unreached, superseded: false } as const;
      return { status: 'failed', caller, ...how, at };
    }
    case 'turn.cancelled': {
      const { code: errorCode, usage } = event.data;
      const reach = { refused: false, unreached: false } as const;
      const how = { errorCode, usage, ...reach, superseded: false } as const;
      return { status: 'cancelled', caller, ...how, at };
    }
  }
}

function superseded(event: FoldedEventOf<'turn.started'>): Ending {
  return {
    status: 'cancelled',
    caller: 'unknown',
    errorCode: 'SBP_TURN_CANCELLED',
    usage: null,
    refused: false,
    unreached: false,
    superseded: true,
    at: event.occurred_at,
  };
}

function close(session: OpenSession, turn: OpenTurn, ending: Ending): Evolution<OpenSession> {
  const owed = isOwed(session, ending.status, ending.caller);
  const seq = owed ? session.head + 1 : null;
  const { number, turnId, epoch } = turn;
  const output = ending.status === 'completed' ? ending.output : null;
  const steps = session.steps + (output === null ? 0 : 1);
  const costUsd = output === null ? session.costUsd : sum(session.costUsd, output.cost_usd);
  const messages = session.messages + (output?.message_count ?? 0);
  const snapshotId = output?.snapshot_id ?? null;
  const change: Change = {
    type: 'turn-ended',
    turnId,
    number,
    epoch,
    status: ending.status,
    endedAt: ending.at,
    seq,
    endIndex: messages,
    modelUsed: output?.model_used ?? null,
    usage: ending.status === 'completed' ? ending.output.usage : ending.usage,
    costUsd: output?.cost_usd ?? null,
    snapshotId,
    errorCode: ending.status === 'completed' ? null : ending.errorCode,
    // Behind a round the model was sent more than the turn's own messages.
    refused: ending.status !== 'completed' && ending.refused && turn.rounds === 0,
    unreached: ending.status !== 'completed' && ending.unreached,
    superseded: ending.status !== 'completed' && ending.superseded,
    steps,
    sessionCostUsd: costUsd,
    sessionBytes: session.bytes + (output?.bytes ?? 0),
    rounds: turn.rounds,
  };
  const closed = withoutCallsOf(session, turnId, ending.at);
  return {
    state: {
      ...closed.state,
      turn: null,
      head: seq ?? session.head,
      unowed: owed ? session.unowed : remember(session.unowed, { turnId, number }),
      steps,
      costUsd,
      messages,
      bytes: session.bytes + (output?.bytes ?? 0),
      checkpoint:
        snapshotId === null ? session.checkpoint : { snapshotId, at: ending.at, step: steps },
    },
    changes: [...closed.changes, change],
    poke: holderOf(session),
  };
}

function sum(left: number | null, right: number | null): number | null {
  return left === null || right === null ? null : left + right;
}
