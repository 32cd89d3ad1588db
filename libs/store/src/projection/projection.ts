import type { Change, Evolution, SessionState } from '#libs/domain';
import { dueAt, evolve, initialState, shownLife } from '#libs/domain';
import type { LogEvent, ProcessAddress } from '#libs/protocol';
import { contentOf } from '#libs/protocol';
import { tuples } from '#libs/sql';
import type { EntityManager } from 'typeorm';
import type { LiveSessionRow } from '../entities/live-session.entity.js';
import type { SessionRow } from '../entities/session.entity.js';
import { rows } from '../statement.js';
import type { TurnKeyRow } from '../entities/turn-key.entity.js';
import { idempotencyName } from '../claims/turn-keys.js';
import { RoamingWrites } from './roaming-writes.js';
import { ToolWrites } from './tool-writes.js';
import { writeTurns } from './turn-statements.js';
import type { Columns } from './turn-writes.js';
import { TurnWrites } from './turn-writes.js';

/** The consumer of the log that folds it; its position says how far the read models are. */
export const PROJECTOR = 'projector';

/** A process that has something new to see in a session. */
export interface PokeTarget {
  readonly sessionId: string;
  readonly process: ProcessAddress;
}

/** What a batch of events makes of the read models. */
interface Batch {
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

/**
 * The read models as a pure fold of the log [A4]: every rule is in the domain's `evolve`, none is
 * in SQL. A batch takes a constant number of statements, however many events it has [A11].
 */
export class Projection {
  /**
   * Folds events of a partition, in log order, inside the caller's transaction; gives the processes
   * to poke once it has committed.
   */
  async apply(
    transaction: EntityManager,
    partition: number,
    events: readonly LogEvent[],
  ): Promise<readonly PokeTarget[]> {
    if (events.length === 0) return [];
    const before = await load(transaction, new Set(events.map((event) => event.session_id)));
    const roaming = new RoamingWrites();
    await roaming.load(transaction, events);
    const batch = foldBatch(before, roaming, events);
    const changed = [...batch.sessions].filter(
      ([id, state]) => before.get(id) !== state && state !== initialState,
    );
    if (changed.length > 0) await writeSessions(transaction, partition, changed, batch.labels);
    await writeTurns(transaction, batch.turns);
    await batch.tools.write(transaction);
    await roaming.write(transaction);
    if (batch.keys.size > 0) await writeKeys(transaction, batch.keys);
    // Last, and in one order for all projectors: many sessions share one row of it.
    if (batch.live.size > 0) await writeLiveSessions(transaction, batch.live);
    return [...batch.pokes.values()];
  }
}

function foldBatch(
  before: ReadonlyMap<string, SessionState>,
  roaming: RoamingWrites,
  events: readonly LogEvent[],
): Batch {
  const batch: Batch = {
    sessions: new Map(),
    turns: new TurnWrites(),
    tools: new ToolWrites(),
    roaming,
    live: new Map(),
    labels: new Map(),
    keys: new Map(),
    pokes: new Map(),
  };
  for (const event of events) {
    const sessionId = event.session_id;
    const state = batch.sessions.get(sessionId) ?? before.get(sessionId) ?? initialState;
    const evolution = evolve(state, event);
    batch.sessions.set(sessionId, evolution.state);
    for (const change of evolution.changes) addChange(batch, event, change);
    roaming.settle(event);
    addKey(batch, event, evolution);
    for (const process of evolution.poke) {
      batch.pokes.set(`${sessionId} ${process.incarnation}`, { sessionId, process });
    }
  }
  return batch;
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
      batch.tools.add(sessionId, change, content);
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

async function load(
  transaction: EntityManager,
  sessionIds: ReadonlySet<string>,
): Promise<ReadonlyMap<string, SessionState>> {
  const found = await rows(transaction)<{ id: string; state: string }>`
    SELECT session_id AS id, state FROM sessions WHERE session_id IN (${[...sessionIds]})`;
  return new Map(found.map(({ id, state }) => [id, JSON.parse(state) as SessionState]));
}

async function writeSessions(
  transaction: EntityManager,
  partition: number,
  sessions: readonly (readonly [string, SessionState])[],
  labels: ReadonlyMap<string, string>,
): Promise<void> {
  await rows(transaction)`
    INSERT INTO sessions (session_id, phase, label, status, principal, agent_id, created_at,
      log_partition, epoch, state, head, open_turn_id, open_epoch, due_at, next_turn_id, next_holder,
      attach_id, called, gateway_slot, gateway_incarnation)
    VALUES ${tuples(
      sessions.map(([id, state]) => {
        const row = sessionColumns(id, state);
        return [
          ...[
            row.sessionId,
            row.phase,
            labels.get(id) ?? null,
            row.status,
            row.principal,
            row.agentId,
            row.createdAt,
          ],
          ...[partition, row.epoch, row.state, row.head],
          ...[row.openTurnId, row.openEpoch, row.dueAt, row.nextTurnId, row.nextHolder],
          ...[row.attachId, row.called, row.gatewaySlot],
          row.gatewayIncarnation,
        ];
      }),
    )}
    ON CONFLICT (session_id) DO UPDATE SET phase = excluded.phase,
      label = COALESCE(sessions.label, excluded.label), status = excluded.status,
      principal = excluded.principal, agent_id = excluded.agent_id,
      created_at = excluded.created_at, log_partition = excluded.log_partition,
      epoch = excluded.epoch, state = excluded.state, head = excluded.head,
      open_turn_id = excluded.open_turn_id, open_epoch = excluded.open_epoch,
      due_at = excluded.due_at,
      next_turn_id = excluded.next_turn_id, next_holder = excluded.next_holder,
      attach_id = excluded.attach_id, called = excluded.called, gateway_slot = excluded.gateway_slot,
      gateway_incarnation = excluded.gateway_incarnation`;
}

async function writeLiveSessions(
  transaction: EntityManager,
  live: ReadonlyMap<string, Columns<LiveSessionRow>>,
): Promise<void> {
  const sorted = [...live].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
  await rows(transaction)`
    INSERT INTO live_sessions (principal, agent_id, session_id, opened_epoch)
    VALUES ${tuples(
      sorted.map((row) => [row.principal, row.agentId, row.sessionId, row.openedEpoch]),
    )}
    ON CONFLICT (principal, agent_id) DO UPDATE
      SET session_id = excluded.session_id, opened_epoch = excluded.opened_epoch
    WHERE live_sessions.opened_epoch < excluded.opened_epoch
      OR (live_sessions.opened_epoch = excluded.opened_epoch
        AND live_sessions.session_id < excluded.session_id)`;
}

async function writeKeys(
  transaction: EntityManager,
  keys: ReadonlyMap<string, Columns<TurnKeyRow>>,
): Promise<void> {
  // In one order for all projectors, because sessions of several partitions may share a key.
  const sorted = [...keys].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
  await rows(transaction)`
    INSERT INTO turn_keys (principal, agent_id, name, turn_id, session_id, body_hash,
      holder_incarnation, caller, created_at)
    VALUES ${tuples(
      sorted.map((row) => [
        ...[row.principal, row.agentId, row.name, row.turnId, row.sessionId, row.bodyHash],
        ...[row.holderIncarnation, row.caller, row.createdAt],
      ]),
    )}
    ON CONFLICT (principal, agent_id, name) DO UPDATE SET session_id = excluded.session_id
    WHERE turn_keys.turn_id = excluded.turn_id`;
}

function sessionColumns(
  sessionId: string,
  state: SessionState,
): Omit<Columns<SessionRow>, 'logPartition' | 'label'> {
  const session = state.phase === 'open' ? state : null;
  const surface = session?.surface;
  const attachment = surface?.type === 'attached' ? surface.attachment : null;
  return {
    sessionId,
    phase: state.phase,
    status: session === null ? '' : shownLife(session).status,
    principal: session?.principal ?? '',
    agentId: session?.agentId ?? '',
    createdAt: session?.createdAt ?? '',
    epoch: state.epoch,
    state: JSON.stringify(state),
    head: session?.head ?? 0,
    openTurnId: session?.turn?.turnId ?? null,
    openEpoch: session?.turn?.epoch ?? null,
    dueAt: session === null ? null : dueAt(session),
    nextTurnId: session?.waiting[0]?.turnId ?? null,
    nextHolder: session?.waiting[0]?.holder.incarnation ?? null,
    attachId: attachment?.attachId ?? null,
    called: session?.called ?? 0,
    gatewaySlot: attachment?.gateway.slot ?? null,
    gatewayIncarnation: attachment?.gateway.incarnation ?? null,
  };
}
