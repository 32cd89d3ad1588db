import type { Change, Evolution, SessionState } from '#libs/domain';
import { evolve, initialState } from '#libs/domain';
import type { LogEvent, ProcessAddress } from '#libs/protocol';
import { contentOf } from '#libs/protocol';
import { tuples } from '#libs/sql';
import type { EntityManager } from 'typeorm';
import type { ExportRow } from '../entities/export.entity.js';
import type { LiveSessionRow } from '../entities/live-session.entity.js';
import type { SessionRow } from '../entities/session.entity.js';
import { rows } from '../statement.js';
import type { TurnKeyRow } from '../entities/turn-key.entity.js';
import { idempotencyName } from '../claims/turn-keys.js';
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
  readonly live: Map<string, Columns<LiveSessionRow>>;
  readonly exports: Map<string, Columns<ExportRow>>;
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
    const batch = foldBatch(before, events);
    const changed = [...batch.sessions].filter(
      ([id, state]) => before.get(id) !== state && state !== initialState,
    );
    if (changed.length > 0) await writeSessions(transaction, partition, changed);
    await writeTurns(transaction, batch.turns);
    if (batch.exports.size > 0) await writeExports(transaction, batch.exports);
    if (batch.keys.size > 0) await writeKeys(transaction, batch.keys);
    // Last, and in one order for all projectors: many sessions share one row of it.
    if (batch.live.size > 0) await writeLiveSessions(transaction, batch.live);
    return [...batch.pokes.values()];
  }
}

function foldBatch(before: ReadonlyMap<string, SessionState>, events: readonly LogEvent[]): Batch {
  const batch: Batch = {
    sessions: new Map(),
    turns: new TurnWrites(),
    live: new Map(),
    exports: new Map(),
    keys: new Map(),
    pokes: new Map(),
  };
  for (const event of events) {
    const sessionId = event.session_id;
    const state = batch.sessions.get(sessionId) ?? before.get(sessionId) ?? initialState;
    const evolution = evolve(state, event);
    batch.sessions.set(sessionId, evolution.state);
    for (const change of evolution.changes) addChange(batch, event, change);
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
      const { principal, agentId, openedEpoch } = change;
      const key = JSON.stringify([principal, agentId]);
      if ((batch.live.get(key)?.openedEpoch ?? 0) < openedEpoch) {
        batch.live.set(key, { principal, agentId, sessionId, openedEpoch });
      }
      return;
    }
    case 'session-exported': {
      const { data, at } = change;
      batch.exports.set(data.export_id, {
        exportId: data.export_id,
        sessionId,
        content: contentText(event) ?? '{}',
        createdAt: at,
        expiresAt: data.expires_at,
        turnNumber: data.turn_number,
        messageCount: data.message_count,
        bundleCid: data.bundle_cid,
      });
      return;
    }
    case 'turn-queued':
    case 'turn-withdrawn':
    case 'turn-forgotten':
    case 'turn-started':
    case 'turn-adopted':
    case 'turn-ended':
    case 'turn-owed':
      batch.turns.add(sessionId, change, contentText(event));
  }
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
): Promise<void> {
  await rows(transaction)`
    INSERT INTO sessions (session_id, phase, principal, log_partition, epoch, state, head, open_turn_id,
      open_epoch, next_turn_id, next_holder, attach_id, gateway_slot, gateway_incarnation)
    VALUES ${tuples(
      sessions.map(([id, state]) => {
        const row = sessionColumns(id, state);
        return [
          ...[row.sessionId, row.phase, row.principal, partition, row.epoch, row.state, row.head],
          ...[row.openTurnId, row.openEpoch, row.nextTurnId, row.nextHolder],
          ...[row.attachId, row.gatewaySlot],
          row.gatewayIncarnation,
        ];
      }),
    )}
    ON CONFLICT (session_id) DO UPDATE SET phase = excluded.phase, principal = excluded.principal,
      log_partition = excluded.log_partition, epoch = excluded.epoch, state = excluded.state, head = excluded.head,
      open_turn_id = excluded.open_turn_id, open_epoch = excluded.open_epoch,
      next_turn_id = excluded.next_turn_id, next_holder = excluded.next_holder,
      attach_id = excluded.attach_id, gateway_slot = excluded.gateway_slot,
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
    WHERE live_sessions.opened_epoch < excluded.opened_epoch`;
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

async function writeExports(
  transaction: EntityManager,
  exports: ReadonlyMap<string, Columns<ExportRow>>,
): Promise<void> {
  await rows(transaction)`
    INSERT INTO exports (export_id, session_id, content, created_at, expires_at, turn_number,
      message_count, bundle_cid)
    VALUES ${tuples(
      [...exports.values()].map((row) => [
        ...[row.exportId, row.sessionId, row.content, row.createdAt, row.expiresAt],
        ...[row.turnNumber, row.messageCount, row.bundleCid],
      ]),
    )}
    ON CONFLICT (export_id) DO NOTHING`;
}

function sessionColumns(
  sessionId: string,
  state: SessionState,
): Omit<Columns<SessionRow>, 'logPartition'> {
  const session = state.phase === 'open' ? state : null;
  const surface = session?.surface;
  const attachment = surface?.type === 'attached' ? surface.attachment : null;
  return {
    sessionId,
    phase: state.phase,
    principal: session?.principal ?? '',
    epoch: state.epoch,
    state: JSON.stringify(state),
    head: session?.head ?? 0,
    openTurnId: session?.turn?.turnId ?? null,
    openEpoch: session?.turn?.epoch ?? null,
    nextTurnId: session?.waiting[0]?.turnId ?? null,
    nextHolder: session?.waiting[0]?.holder.incarnation ?? null,
    attachId: attachment?.attachId ?? null,
    gatewaySlot: attachment?.gateway.slot ?? null,
    gatewayIncarnation: attachment?.gateway.incarnation ?? null,
  };
}
