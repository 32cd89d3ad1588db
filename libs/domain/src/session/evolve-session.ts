import type { FoldedEventOf } from '#libs/protocol';
import type { Change, Evolution } from '../changes.js';
import type { Life, OpenSession, SessionState, UnopenedSession } from '../session-state.js';
import { remember } from '../session-state.js';
import { holderOf } from '../surfaces/holder.js';
import { withoutWaiting } from '../turns/queue.js';
import { isFinished } from './life.js';

export function opened(
  state: SessionState,
  event: FoldedEventOf<'session.opened'>,
): Evolution<SessionState> {
  const { principal, agent_id: agentId, origin } = event.data;
  const { occurred_at: at } = event;
  const begun = beginning(event);
  const session: OpenSession = {
    phase: 'open',
    // The turn that comes with the opening has the same epoch and must still be above the
    // session's.
    epoch: state.epoch,
    openedEpoch: event.epoch,
    principal,
    agentId,
    life: { type: 'active' },
    begun: false,
    tokenGeneration: 0,
    createdAt: at,
    updatedAt: at,
    turn: null,
    withdrawn: 0,
    waiting: [],
    queued: 0,
    queuedIds: [],
    ...begun.state,
    checkpoint: null,
    head: 0,
    cursor: 0,
    surface: { type: 'never' },
    calls: [],
    called: 0,
    clientCalls: [],
    attachIds: [],
    takeovers: [],
    unowed: [],
  };
  const isLive = origin?.type !== 'fork';
  const { steps, messages } = begun.state;
  return {
    state: session,
    changes: [
      { type: 'session-opened', principal, agentId, openedEpoch: event.epoch, isLive },
      ...(origin === undefined
        ? []
        : [{ type: 'session-derived' as const, origin, steps, messages, at }]),
      ...(begun.note === null ? [] : [begun.note]),
      ...(origin === undefined || origin.type === 'fork'
        ? []
        : [{ type: 'promise-kept' as const }]),
    ],
    poke: [],
  };
}

type Beginning = Pick<
  OpenSession,
  'turns' | 'steps' | 'costUsd' | 'messages' | 'bytes' | 'systemTurn' | 'base' | 'baseEnd' | 'notes'
>;

/** What a conversation begins with: nothing, a place in another one, or what was copied. */
function beginning(event: FoldedEventOf<'session.opened'>): {
  readonly state: Beginning;
  readonly note: Extract<Change, { type: 'note-added' }> | null;
} {
  const { base = null, restored = null, note_bytes: noteBytes = null } = event.data;
  const parts = restored?.parts ?? 0;
  const counted = restored ?? base;
  const state: Beginning = {
    turns: parts,
    steps: counted?.step_count ?? 0,
    costUsd: counted === null ? 0 : counted.cost_usd,
    messages: counted?.message_count ?? 0,
    bytes: counted?.bytes ?? 0,
    systemTurn: restored?.has_system === true ? 1 : 0,
    base,
    baseEnd: base?.message_count ?? 0,
    notes: base?.notes ?? [],
  };
  if (noteBytes === null) return { state, note: null };
  const number = parts + 1;
  const bytes = state.bytes + noteBytes;
  const place = { session_id: event.session_id, turn_number: number };
  return {
    state: {
      ...state,
      turns: number,
      messages: state.messages + 1,
      bytes,
      notes: remember(state.notes, place, REMEMBERED_NOTES),
    },
    note: {
      type: 'note-added',
      noteId: event.id,
      number,
      index: state.messages,
      systemTurn: state.systemTurn,
      steps: state.steps,
      sessionCostUsd: state.costUsd,
      sessionBytes: bytes,
      at: event.occurred_at,
    },
  };
}

/** How many of the notes are told to the model, the newest. */
const REMEMBERED_NOTES = 8;

/**
 * Its epoch is above the state's. Whoever copies begins with the first part, also where another has
 * begun; each counts once, in order.
 */
export function restored(
  state: UnopenedSession,
  { data, occurred_at: at }: FoldedEventOf<'session.restored'>,
): Evolution<SessionState> {
  const { parts = 0 } = state;
  if (data.part !== parts + 1) return { state, changes: [], poke: [] };
  const next = { ...state, parts: data.part };
  return { state: next, changes: [{ type: 'part-restored', data, at }], poke: [] };
}

/** It is to be opened when the other server says that the export is used. */
export function importBegun(
  state: UnopenedSession,
  event: FoldedEventOf<'import.begun'>,
): Evolution<SessionState> {
  const { session_id: successor, data, occurred_at: at } = event;
  const { maker, source_session_id: source } = data;
  const promised = { successor, source, data, maker, by: 'remote' as const, at };
  return { state, changes: [{ type: 'session-promised', ...promised }], poke: [] };
}

export function importAbandoned({ epoch }: UnopenedSession): Evolution<SessionState> {
  const state: SessionState = { phase: 'unopened', epoch };
  return { state, changes: [{ type: 'promise-kept' }, { type: 'copies-dropped' }], poke: [] };
}

type LifeEvent = FoldedEventOf<
  'session.suspended' | 'session.resumed' | 'session.completed' | 'session.failed'
>;

/**
 * Its epoch is above the session's. It counts unless the session has finished, or a turn is open,
 * which whoever took a claim for this has not seen.
 */
export function livedOn(session: OpenSession, event: LifeEvent): Evolution<OpenSession> {
  if (event.type === 'session.resumed') return resumed(session, event);
  if (!mayChange(session)) return onlyRaised(session, event.epoch);
  const ended = withoutWaiting(session, event, null);
  return {
    state: { ...ended.state, epoch: event.epoch, life: lifeAfter(event) },
    changes: ended.changes,
    poke: holderOf(session),
  };
}

function lifeAfter({
  type,
  occurred_at: since,
}: Exclude<LifeEvent, { type: 'session.resumed' }>): Life {
  switch (type) {
    case 'session.suspended':
      return { type: 'suspended', reason: 'requested', since };
    case 'session.completed':
      return { type: 'completed' };
    case 'session.failed':
      return { type: 'failed' };
  }
}

/** The turn that comes with it has the same epoch, and must still be above the session's. */
function resumed(
  session: OpenSession,
  event: FoldedEventOf<'session.resumed'>,
): Evolution<OpenSession> {
  const raised = onlyRaised(session, event.epoch - 1);
  if (!mayChange(session) || (session.life.type === 'active' && session.begun)) return raised;
  const state: OpenSession = { ...raised.state, life: { type: 'active' }, begun: true };
  return { state, changes: [], poke: holderOf(session) };
}

function mayChange(session: OpenSession): boolean {
  return !isFinished(session) && session.turn === null;
}

/** A late copy of what did not count must not count, too. */
function onlyRaised(session: OpenSession, epoch: number): Evolution<OpenSession> {
  const state = session.epoch < epoch ? { ...session, epoch } : session;
  return { state, changes: [], poke: [] };
}

/**
 * Its epoch is above the session's. Where it does not count, as for `livedOn`, nothing of it has
 * happened, and nobody opens the other session.
 */
export function handedOff(
  session: OpenSession,
  event: FoldedEventOf<'session.handed_off'>,
): Evolution<OpenSession> {
  if (!mayChange(session)) return onlyRaised(session, event.epoch);
  const { data, occurred_at: at } = event;
  const { successor, agent_id: agentId, maker } = data;
  const ended = withoutWaiting(session, event, null);
  const life = { type: 'suspended', reason: 'handoff', successor, agentId } as const;
  return {
    state: { ...ended.state, epoch: event.epoch, life },
    changes: [
      ...ended.changes,
      {
        type: 'session-promised',
        ...{ successor, source: event.session_id, data, maker, by: 'handoff', at },
      },
    ],
    poke: holderOf(session),
  };
}

/** Of several at once all name the next generation, so they count once. */
export function tokensRevoked(
  session: OpenSession,
  event: FoldedEventOf<'session.tokens_revoked'>,
): Evolution<OpenSession> | null {
  const { generation } = event.data;
  if (generation <= session.tokenGeneration) return null;
  const state = { ...session, tokenGeneration: generation };
  return { state, changes: [], poke: holderOf(session) };
}
