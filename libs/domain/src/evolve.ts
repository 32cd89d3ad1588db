import type { CallerPresence, LogEvent, LogEventOf, TurnError } from '#libs/protocol';
import type { Change, Evolution } from './changes.js';
import type { OpenSession, OpenTurn, SessionState } from './session-state.js';
import { TAKEOVER_LIMIT, remember } from './session-state.js';
import { acknowledge, isOwed } from './surfaces/tether.js';

/**
 * The fold: what one fact makes of a session [A4]. It decides every race by log order alone [A3]:
 * an owned fact below the session's epoch does not count, a start or adoption must be above it, the
 * end of a turn must be of the attempt that is open, and a free fact counts once by the ids in it.
 * So a late copy of any event changes nothing.
 */
export function evolve(state: SessionState, event: LogEvent): Evolution<SessionState> {
  if (state.phase === 'unopened') return evolveUnopened(state, event);
  const next = evolveOpen(state, event);
  if (next === null) return nothing(state);
  // What changes nothing here (an old acknowledgement, an export) does not touch the session: its
  // copies come late.
  if (next.state === state) return next;
  return { ...next, state: { ...next.state, updatedAt: event.occurred_at } };
}

function nothing(state: SessionState): Evolution<SessionState> {
  return { state, changes: [], poke: [] };
}

function evolveUnopened(state: SessionState, event: LogEvent): Evolution<SessionState> {
  switch (event.type) {
    case 'session.opened':
      return event.epoch > state.epoch ? opened(state, event) : nothing(state);
    // Raises the epoch even where nothing was opened: a late opening by the process that was given
    // up must not count.
    case 'turn.adopted':
      return event.epoch > state.epoch
        ? nothing({ phase: 'unopened', epoch: event.epoch })
        : nothing(state);
    case 'turn.started':
    case 'turn.completed':
    case 'turn.failed':
    case 'turn.cancelled':
    case 'turn.undelivered':
    case 'surface.attached':
    case 'surface.detached':
    case 'surface.acknowledged':
    case 'session.exported':
      return nothing(state);
  }
}

function opened(state: SessionState, event: LogEventOf<'session.opened'>): Evolution<SessionState> {
  const { principal, agent_id: agentId } = event.data;
  const session: OpenSession = {
    phase: 'open',
    // The turn that comes with the opening has the same epoch and must still be above the
    // session's.
    epoch: state.epoch,
    openedEpoch: event.epoch,
    principal,
    agentId,
    createdAt: event.occurred_at,
    updatedAt: event.occurred_at,
    turn: null,
    turns: 0,
    steps: 0,
    messages: 0,
    checkpoint: null,
    head: 0,
    cursor: 0,
    surface: { type: 'never' },
    attachIds: [],
    takeovers: [],
    unowed: [],
  };
  return {
    state: session,
    changes: [{ type: 'session-opened', principal, agentId, openedEpoch: event.epoch }],
    poke: [],
  };
}

function evolveOpen(session: OpenSession, event: LogEvent): Evolution<OpenSession> | null {
  switch (event.type) {
    case 'session.opened':
      return null;
    case 'turn.started':
      return event.epoch > session.epoch ? started(session, event) : null;
    case 'turn.adopted':
      return event.epoch > session.epoch ? adopted(session, event) : null;
    case 'turn.completed':
    case 'turn.failed':
    case 'turn.cancelled':
      return session.turn?.turnId === event.turn_id &&
        session.turn.epoch === event.epoch &&
        session.epoch === event.epoch
        ? ended(session, session.turn, event)
        : null;
    case 'turn.undelivered':
      return session.unowed.includes(event.turn_id) ? undelivered(session, event.turn_id) : null;
    case 'surface.attached':
      return session.attachIds.includes(event.data.attach_id) ? null : attached(session, event);
    case 'surface.detached':
      return isCurrent(session, event.data.attach_id)
        ? {
            state: { ...session, surface: { type: 'detached' } },
            changes: [],
            poke: pokeSurface(session),
          }
        : null;
    case 'surface.acknowledged':
      return isCurrent(session, event.data.attach_id)
        ? { state: acknowledge(session, event.data.seq), changes: [], poke: [] }
        : null;
    case 'session.exported':
      return {
        state: session,
        changes: [{ type: 'session-exported', data: event.data, at: event.occurred_at }],
        poke: [],
      };
  }
}

function started(session: OpenSession, event: LogEventOf<'turn.started'>): Evolution<OpenSession> {
  const cut = session.turn === null ? null : supersede(session, session.turn, event.occurred_at);
  const base = cut?.state ?? session;
  const number = base.turns + 1;
  const { runner } = event.data;
  const turn: OpenTurn = {
    turnId: event.turn_id,
    number,
    epoch: event.epoch,
    runner,
    adoptions: 0,
    messages: Math.min(event.data.keeps, base.messages) + event.data.messages.length,
    startedAt: event.occurred_at,
  };
  const change: Change = {
    type: 'turn-started',
    turnId: event.turn_id,
    number,
    epoch: event.epoch,
    runner,
    startedAt: event.occurred_at,
    request: event.data,
  };
  return {
    state: { ...base, epoch: event.epoch, turn, turns: number, messages: turn.messages },
    changes: [...(cut?.changes ?? []), change],
    poke: pokeSurface(session),
  };
}

/** A start of a higher epoch ends the turn that was open; no writer has to say so. */
function supersede(session: OpenSession, turn: OpenTurn, at: string): Evolution<OpenSession> {
  const error: TurnError = {
    code: 'SBP_TURN_CANCELLED',
    message: 'Another turn was started in its place.',
  };
  return close(session, turn, { status: 'cancelled', caller: 'unknown', error, at });
}

function adopted(session: OpenSession, event: LogEventOf<'turn.adopted'>): Evolution<OpenSession> {
  const { turn } = session;
  // The epoch rises even where the turn is unknown or ended: what its dead runner still sends must
  // not count.
  if (turn?.turnId !== event.turn_id)
    return { state: { ...session, epoch: event.epoch }, changes: [], poke: [] };
  const { runner } = event.data;
  const adoptions = turn.adoptions + 1;
  return {
    state: {
      ...session,
      epoch: event.epoch,
      turn: { ...turn, epoch: event.epoch, runner, adoptions },
    },
    changes: [{ type: 'turn-adopted', turnId: turn.turnId, epoch: event.epoch, runner, adoptions }],
    poke: pokeSurface(session),
  };
}

function ended(
  session: OpenSession,
  turn: OpenTurn,
  event: LogEventOf<'turn.completed' | 'turn.failed' | 'turn.cancelled'>,
): Evolution<OpenSession> {
  const { caller } = event.data;
  const at = event.occurred_at;
  switch (event.type) {
    case 'turn.failed':
      return close(session, turn, { status: 'failed', caller, error: event.data.error, at });
    case 'turn.cancelled':
      return close(session, turn, { status: 'cancelled', caller, error: event.data.error, at });
    case 'turn.completed':
      return close(session, turn, { status: 'completed', caller, output: event.data, at });
  }
}

type Ending =
  | {
      readonly status: 'failed' | 'cancelled';
      readonly caller: CallerPresence | 'unknown';
      readonly error: TurnError;
      readonly at: string;
    }
  | {
      readonly status: 'completed';
      readonly caller: CallerPresence;
      readonly output: LogEventOf<'turn.completed'>['data'];
      readonly at: string;
    };

function close(session: OpenSession, turn: OpenTurn, ending: Ending): Evolution<OpenSession> {
  const owed = isOwed(session, ending.status, ending.caller);
  const seq = owed ? session.head + 1 : null;
  const output = ending.status === 'completed' ? ending.output : null;
  const steps = session.steps + (output === null ? 0 : 1);
  const snapshotId = output?.snapshot_id ?? null;
  return {
    state: {
      ...session,
      turn: null,
      head: seq ?? session.head,
      unowed: owed ? session.unowed : remember(session.unowed, turn.turnId),
      steps,
      messages: session.messages + (output?.messages.length ?? 0),
      checkpoint:
        snapshotId === null ? session.checkpoint : { snapshotId, at: ending.at, step: steps },
    },
    changes: [
      {
        type: 'turn-ended',
        turnId: turn.turnId,
        status: ending.status,
        endedAt: ending.at,
        seq,
        messages: output?.messages ?? [],
        modelUsed: output?.model_used ?? null,
        usage: output?.usage ?? null,
        costUsd: output?.cost_usd ?? null,
        snapshotId,
        error: ending.status === 'completed' ? null : ending.error,
      },
    ],
    poke: pokeSurface(session),
  };
}

function undelivered(session: OpenSession, turnId: string): Evolution<OpenSession> {
  const seq = session.head + 1;
  return {
    state: { ...session, head: seq, unowed: session.unowed.filter((id) => id !== turnId) },
    changes: [{ type: 'turn-owed', turnId, seq }],
    poke: pokeSurface(session),
  };
}

function attached(
  session: OpenSession,
  event: LogEventOf<'surface.attached'>,
): Evolution<OpenSession> {
  const { attach_id: attachId, gateway, context } = event.data;
  const takesOver = session.surface.type === 'attached';
  return {
    state: {
      ...session,
      surface: {
        type: 'attached',
        attachment: { attachId, gateway, context: context ?? {}, attachedAt: event.occurred_at },
      },
      attachIds: remember(session.attachIds, attachId),
      takeovers: takesOver
        ? remember(session.takeovers, event.occurred_at, TAKEOVER_LIMIT)
        : session.takeovers,
    },
    changes: [],
    poke: [...pokeSurface(session), gateway],
  };
}

function isCurrent(session: OpenSession, attachId: string): boolean {
  return session.surface.type === 'attached' && session.surface.attachment.attachId === attachId;
}

function pokeSurface(session: OpenSession): readonly Attachment['gateway'][] {
  return session.surface.type === 'attached' ? [session.surface.attachment.gateway] : [];
}

type Attachment = Extract<OpenSession['surface'], { type: 'attached' }>['attachment'];
