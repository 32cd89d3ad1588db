import type { FoldedEvent } from '#libs/protocol';
import type { Evolution } from './changes.js';
import { exported } from './roaming/evolve-roaming.js';
import {
  handedOff,
  importAbandoned,
  importBegun,
  livedOn,
  opened,
  restored,
  tokensRevoked,
} from './session/evolve-session.js';
import type { OpenSession, SessionState, UnopenedSession } from './session-state.js';
import { acknowledged, attached, detached } from './surfaces/evolve-surfaces.js';
import { called, calledByClient, decidedCall, returned } from './tools/evolve-tools.js';
import { adopted, ended, parked, started, stopped, undelivered } from './turns/evolve-turns.js';
import { queuePokes, queued, withdrawn } from './turns/queue.js';

/**
 * The fold: what one event makes of a session [A4]. It decides every race by log order alone [A3]:
 * an owned event below the session's epoch does not count, a start or adoption must be above it,
 * the end of a turn must be of the attempt that is open, and a free event counts once by the ids in
 * it. So a late copy of any event changes nothing. It reads `data` and never `content` [A10].
 */
export function evolve(state: SessionState, event: FoldedEvent): Evolution<SessionState> {
  if (state.phase === 'unopened') return evolveUnopened(state, event);
  const next = evolveOpen(state, event);
  if (next === null) return nothing(state);
  // What changes nothing here (an old acknowledgement, an export) does not touch the session,
  // because copies of it come late.
  if (next.state === state) return next;
  const poke = [...next.poke, ...queuePokes(state, next.state)];
  return { ...next, state: { ...next.state, updatedAt: event.occurred_at }, poke };
}

function nothing(state: SessionState): Evolution<SessionState> {
  return { state, changes: [], poke: [] };
}

function evolveUnopened(state: UnopenedSession, event: FoldedEvent): Evolution<SessionState> {
  switch (event.type) {
    case 'session.opened':
      return event.epoch > state.epoch ? opened(state, event) : nothing(state);
    case 'session.restored':
      return event.epoch > state.epoch ? restored(state, event) : nothing(state);
    case 'import.begun':
      return importBegun(state, event);
    case 'import.abandoned':
      return importAbandoned(state);
    // It raises the epoch even where nothing was opened, because a late opening by the process that
    // was given up must not count.
    case 'turn.adopted':
    case 'turn.cancelled':
      return event.epoch > state.epoch ? nothing({ ...state, epoch: event.epoch }) : nothing(state);
    case 'turn.queued':
    case 'turn.withdrawn':
    case 'turn.started':
    case 'turn.completed':
    case 'turn.failed':
    case 'turn.undelivered':
    case 'turn.parked':
    case 'tools.called':
    case 'tool.called':
    case 'tool.returned':
    case 'tool.decided':
    case 'surface.attached':
    case 'surface.detached':
    case 'surface.acknowledged':
    case 'session.suspended':
    case 'session.resumed':
    case 'session.completed':
    case 'session.failed':
    case 'session.handed_off':
    case 'session.tokens_revoked':
    case 'session.exported':
    case 'export.consumed':
    case 'export.revoked':
      return nothing(state);
  }
}

/** Null where the event changes nothing and tells nobody anything. */
function evolveOpen(session: OpenSession, event: FoldedEvent): Evolution<OpenSession> | null {
  switch (event.type) {
    case 'session.opened':
    case 'session.restored':
    case 'import.begun':
    case 'import.abandoned':
      return null;
    case 'session.suspended':
    case 'session.resumed':
    case 'session.completed':
    case 'session.failed':
      return event.epoch > session.epoch ? livedOn(session, event) : null;
    case 'session.handed_off':
      return event.epoch > session.epoch ? handedOff(session, event) : null;
    case 'session.tokens_revoked':
      return tokensRevoked(session, event);
    case 'turn.queued':
      return queued(session, event);
    case 'turn.withdrawn':
      return withdrawn(session, event);
    case 'turn.started':
      return event.epoch > session.epoch ? started(session, event) : null;
    case 'turn.adopted':
      return event.epoch > session.epoch ? adopted(session, event) : null;
    case 'turn.parked':
      return parked(session, event);
    case 'turn.completed':
    case 'turn.failed':
      return ended(session, event);
    case 'turn.cancelled':
      return event.epoch > session.epoch ? stopped(session, event) : ended(session, event);
    case 'turn.undelivered':
      return undelivered(session, event.turn_id);
    case 'tools.called':
      return called(session, event);
    case 'tool.called':
      return calledByClient(session, event);
    case 'tool.returned':
      return returned(session, event);
    case 'tool.decided':
      return decidedCall(session, event);
    case 'surface.attached':
      return attached(session, event);
    case 'surface.detached':
      return detached(session, event);
    case 'surface.acknowledged':
      return acknowledged(session, event.data);
    case 'session.exported':
      return exported(session, event);
    // What becomes of an export its own row says: `settleExport`.
    case 'export.consumed':
    case 'export.revoked':
      return null;
  }
}
