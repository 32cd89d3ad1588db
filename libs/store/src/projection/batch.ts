import type { Change, Evolution, SessionState } from '#libs/domain';
import { TOO_LARGE, initialState } from '#libs/domain';
import type { FoldedEvent, LogEvent, ProcessAddress } from '#libs/protocol';
import { contentOf } from '#libs/protocol';
import { idempotencyName } from '../claims/turn-keys.js';
import type { LiveSessionRow } from '../entities/live-session.entity.js';
import type { TurnKeyRow } from '../entities/turn-key.entity.js';
import type { ExportFates } from './roaming-writes.js';
import { RoamingWrites } from './roaming-writes.js';
import { ToolWrites } from './tool-writes.js';
import type { Columns } from './turn-writes.js';
import { TurnWrites } from './turn-writes.js';

/** The domain's fold, or that of another version. */
export type Evolve = (state: SessionState, event: FoldedEvent) => Evolution<SessionState>;

/** A process that has something new to see in a session. */
export interface PokeTarget {
  readonly sessionId: string;
  readonly process: ProcessAddress;
}

/** What a batch of events makes of the read models. */
export interface Batch {
  readonly sessions: Map<string, SessionState>;
  readonly turns: TurnWrites;
  readonly tools: ToolWrites;
  readonly live: Map<string, Columns<LiveSessionRow>>;
  readonly roaming: RoamingWrites;
  /** By session: as whoever opened it called it. */
  readonly labels: Map<string, string>;
  readonly keys: Map<string, Columns<TurnKeyRow>>;
  readonly pokes: Map<string, PokeTarget>;
}

export function emptyBatch(fates: ExportFates): Batch {
  return {
    sessions: new Map(),
    turns: new TurnWrites(),
    tools: new ToolWrites(),
    roaming: new RoamingWrites(fates),
    live: new Map(),
    labels: new Map(),
    keys: new Map(),
    pokes: new Map(),
  };
}

/** Adds an event; where it throws, the batch is of no use any more. */
export function addEvent(
  batch: Batch,
  before: ReadonlyMap<string, SessionState>,
  event: LogEvent,
  evolve: Evolve,
): void {
  const sessionId = event.session_id;
  const state = batch.sessions.get(sessionId) ?? before.get(sessionId) ?? initialState;
  const evolution = evolve(state, event);
  batch.sessions.set(sessionId, evolution.state);
  for (const change of evolution.changes) addChange(batch, event, change);
  batch.roaming.settle(event);
  addKey(batch, event, evolution);
  for (const process of evolution.poke) addPoke(batch, { sessionId, process });
}

export function addPoke({ pokes }: Batch, target: PokeTarget): void {
  pokes.set(`${target.sessionId} ${target.process.incarnation}`, target);
}

function addChange(batch: Batch, event: LogEvent, change: Change): void {
  const sessionId = event.session_id;
  switch (change.type) {
    case 'session-opened': {
      const { principal, agentId, openedEpoch, isLive } = change;
      const label = event.type === 'session.opened' ? (event.content?.label ?? null) : null;
      // Postgres takes no NUL in a text.
      if (label !== null) batch.labels.set(sessionId, label.replaceAll('\0', '\ufffd'));
      const key = JSON.stringify([principal, agentId]);
      const opened = { principal, agentId, sessionId, openedEpoch };
      const other = batch.live.get(key);
      if (isLive && (other === undefined || isLater(opened, other))) batch.live.set(key, opened);
      return;
    }
    case 'session-exported':
    case 'session-derived':
    case 'session-promised':
    case 'promise-kept':
      batch.roaming.add(sessionId, change, contentText(event));
      return;
    case 'copies-dropped':
    case 'part-restored':
    case 'note-added':
    case 'turn-queued':
    case 'turn-withdrawn':
    case 'turn-forgotten':
    case 'turn-started':
    case 'turn-adopted':
    case 'turn-parked':
    case 'turn-ended':
    case 'turn-owed':
      batch.turns.add(sessionId, change, contentText(event), event.id);
      return;
    case 'call-returned': {
      // Another event's content says nothing of the call that it ended.
      const isOwn = event.type === 'tool.returned' || change.outcome === 'denied';
      const content = isOwn ? contentText(event) : null;
      batch.tools.add(sessionId, change, change.isTooLarge ? WITHOUT_RESULT : content);
      return;
    }
    case 'tools-called':
    case 'tool-called':
    case 'call-decided':
    case 'round-returned':
    case 'surface-attached':
      batch.tools.add(sessionId, change, contentText(event));
  }
}

const WITHOUT_RESULT = JSON.stringify({ error: TOO_LARGE });

/** Of two sessions of an agent; where their epochs are one, all agree on one of them. */
function isLater(left: Columns<LiveSessionRow>, right: Columns<LiveSessionRow>): boolean {
  if (left.openedEpoch !== right.openedEpoch) return left.openedEpoch > right.openedEpoch;
  return left.sessionId > right.sessionId;
}

/** The key of a turn that has begun or waits, so that a rebuilt table knows it, too. */
function addKey(batch: Batch, event: LogEvent, { state, changes }: Evolution<SessionState>): void {
  if (event.type !== 'turn.started' && event.type !== 'turn.queued') return;
  const { idempotency_key: key, body_hash: bodyHash } = event.data;
  if (key === null || changes.length === 0 || state.phase !== 'open') return;
  const { principal, agentId } = state;
  const name = idempotencyName(key);
  const holder = event.type === 'turn.started' ? event.data.runner : event.data.holder;
  batch.keys.set(JSON.stringify([principal, agentId, name]), {
    principal,
    agentId,
    name,
    turnId: event.turn_id,
    sessionId: event.session_id,
    bodyHash: bodyHash ?? '',
    holderIncarnation: holder.incarnation,
    caller: 'there',
    createdAt: Date.parse(event.occurred_at),
  });
}

/** An event's content as it goes to a row: as it stands [A10]. */
function contentText(event: LogEvent): string | null {
  const content = contentOf(event);
  return content === undefined ? null : JSON.stringify(content);
}
