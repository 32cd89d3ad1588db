import { dueAt, shownLife, suspendedAt } from '#libs/domain';
import { tuples } from '#libs/sql';
import type { EntityManager } from 'typeorm';
import type { LiveSessionRow } from '../entities/live-session.entity.js';
import type { SessionRow } from '../entities/session.entity.js';
import type { TurnKeyRow } from '../entities/turn-key.entity.js';
import type { StoredState } from '../quarantine/stored-state.js';
import { storedState } from '../quarantine/stored-state.js';
import { rows } from '../statement.js';
import type { Columns } from './turn-writes.js';

export async function loadStates(
  transaction: EntityManager,
  sessionIds: ReadonlySet<string>,
): Promise<ReadonlyMap<string, StoredState>> {
  const found = await rows(transaction)<{ id: string; state: string }>`
    SELECT session_id AS id, state FROM sessions WHERE session_id IN (${[...sessionIds]})`;
  return new Map(found.map(({ id, state }) => [id, storedState(state)]));
}

export async function dropSession(transaction: EntityManager, sessionId: string): Promise<void> {
  await rows(transaction)`DELETE FROM sessions WHERE session_id = ${sessionId}`;
}

export async function writeSessions(
  transaction: EntityManager,
  partition: number,
  sessions: readonly (readonly [string, StoredState])[],
  labels: ReadonlyMap<string, string>,
): Promise<void> {
  await rows(transaction)`
    INSERT INTO sessions (session_id, phase, label, status, principal, agent_id, created_at,
      log_partition, epoch, state, head, open_turn_id, open_epoch, due_at, next_turn_id, next_holder,
      suspended_at, attach_id, called, gateway_slot, gateway_incarnation)
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
          ...[row.suspendedAt, row.attachId, row.called, row.gatewaySlot],
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
      suspended_at = excluded.suspended_at,
      attach_id = excluded.attach_id, called = excluded.called, gateway_slot = excluded.gateway_slot,
      gateway_incarnation = excluded.gateway_incarnation`;
}

export async function writeLiveSessions(
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

export async function writeKeys(
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

/** Of a quarantined session they say nothing, so that no scan finds it [A12]. */
function sessionColumns(
  sessionId: string,
  state: StoredState,
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
    suspendedAt: session === null ? null : suspendedAt(session),
    attachId: attachment?.attachId ?? null,
    called: session?.called ?? 0,
    gatewaySlot: attachment?.gateway.slot ?? null,
    gatewayIncarnation: attachment?.gateway.incarnation ?? null,
  };
}
