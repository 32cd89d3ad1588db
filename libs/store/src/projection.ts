import type { Change, SessionState } from '#libs/domain';
import { evolve, initialState } from '#libs/domain';
import type { LogEvent, ProcessAddress } from '#libs/protocol';
import type { EntityManager } from 'typeorm';
import { ExportRow } from './entities/export.entity.js';
import { SessionRow } from './entities/session.entity.js';
import { TurnRow } from './entities/turn.entity.js';
import { rows } from './statement.js';

/** A gateway whose surface has something new to see. */
export interface PokeTarget {
  readonly sessionId: string;
  readonly gateway: ProcessAddress;
}

/** The read models as a pure fold of the log [A4]: every rule is in the domain's `evolve`, none is in SQL. */
export class Projection {
  /** Folds events, in log order, inside the caller's transaction; gives the gateways to poke once it has committed. */
  async apply(transaction: EntityManager, events: readonly LogEvent[]): Promise<readonly PokeTarget[]> {
    if (events.length === 0) return [];
    const before = await this.load(transaction, new Set(events.map((event) => event.session_id)));
    const after = new Map<string, SessionState>();
    const changes: { readonly sessionId: string; readonly change: Change }[] = [];
    const pokes = new Map<string, PokeTarget>();
    for (const event of events) {
      const sessionId = event.session_id;
      const evolution = evolve(after.get(sessionId) ?? before.get(sessionId) ?? initialState, event);
      after.set(sessionId, evolution.state);
      for (const change of evolution.changes) changes.push({ sessionId, change });
      for (const gateway of evolution.poke) {
        pokes.set(`${sessionId} ${gateway.incarnation}`, { sessionId, gateway });
      }
    }
    const sessions = [...after].filter(([id, state]) => before.get(id) !== state && state !== initialState);
    if (sessions.length > 0) {
      await transaction.upsert(
        SessionRow,
        sessions.map(([id, state]) => sessionRow(id, state)),
        ['sessionId'],
      );
    }
    for (const { sessionId, change } of changes) await this.write(transaction, sessionId, change);
    return [...pokes.values()];
  }

  private async load(
    transaction: EntityManager,
    sessionIds: ReadonlySet<string>,
  ): Promise<ReadonlyMap<string, SessionState>> {
    const found = await rows(transaction)<{ id: string; state: string }>`
      SELECT session_id AS id, state FROM sessions WHERE session_id IN (${[...sessionIds]})`;
    return new Map(found.map(({ id, state }) => [id, JSON.parse(state) as SessionState]));
  }

  private async write(transaction: EntityManager, sessionId: string, change: Change): Promise<void> {
    switch (change.type) {
      case 'session-opened':
        await rows(transaction)`
          INSERT INTO live_sessions (principal, agent_id, session_id, opened_epoch)
          VALUES (${change.principal}, ${change.agentId}, ${sessionId}, ${change.openedEpoch})
          ON CONFLICT (principal, agent_id) DO UPDATE
            SET session_id = excluded.session_id, opened_epoch = excluded.opened_epoch
          WHERE live_sessions.opened_epoch < excluded.opened_epoch`;
        return;
      case 'turn-started':
        await transaction.insert(TurnRow, turnRow(sessionId, change));
        return;
      case 'turn-adopted':
        await transaction.update(
          TurnRow,
          { sessionId, turnId: change.turnId },
          { epoch: change.epoch, runnerSlot: change.runner.slot, runnerIncarnation: change.runner.incarnation },
        );
        return;
      case 'turn-ended':
        await transaction.update(
          TurnRow,
          { sessionId, turnId: change.turnId },
          {
            status: change.status,
            seq: change.seq,
            output: JSON.stringify(change.messages),
            modelUsed: change.modelUsed === null ? null : storable(change.modelUsed),
            usage: change.usage === null ? null : JSON.stringify(change.usage),
            costUsd: change.costUsd,
            snapshotId: change.snapshotId,
            error: change.error === null ? null : JSON.stringify(change.error),
            endedAt: change.endedAt,
            endedMs: Date.parse(change.endedAt),
          },
        );
        return;
      case 'turn-owed':
        await transaction.update(TurnRow, { sessionId, turnId: change.turnId }, { seq: change.seq });
        return;
      case 'session-exported':
        await transaction.upsert(ExportRow, exportRow(sessionId, change), ['exportId']);
    }
  }
}

/** Postgres takes no NUL in a text, and a fact that cannot be folded would stop its partition; in JSON it is escaped. */
function storable(text: string): string {
  return text.replaceAll('\0', '\ufffd');
}

/** An entity's columns as a plain object. */
type Columns<T> = { readonly [K in keyof T]: T[K] };

function sessionRow(sessionId: string, state: SessionState): Columns<SessionRow> {
  const turn = state.phase === 'open' ? state.turn : null;
  const attachment = state.phase === 'open' && state.surface.type === 'attached' ? state.surface.attachment : null;
  return {
    sessionId,
    phase: state.phase,
    epoch: state.epoch,
    state: JSON.stringify(state),
    head: state.phase === 'open' ? state.head : 0,
    openTurnId: turn?.turnId ?? null,
    openEpoch: turn?.epoch ?? null,
    attachId: attachment?.attachId ?? null,
    gatewaySlot: attachment?.gateway.slot ?? null,
    gatewayIncarnation: attachment?.gateway.incarnation ?? null,
  };
}

function turnRow(sessionId: string, change: Extract<Change, { type: 'turn-started' }>): Columns<TurnRow> {
  const { request, runner } = change;
  return {
    sessionId,
    turnId: change.turnId,
    number: change.number,
    epoch: change.epoch,
    runnerSlot: runner.slot,
    runnerIncarnation: runner.incarnation,
    status: 'open',
    seq: null,
    keeps: request.keeps,
    messages: JSON.stringify(request.messages),
    system: request.system === undefined ? null : JSON.stringify(request.system),
    output: '[]',
    model: storable(request.model),
    options: JSON.stringify(request.options),
    checkpointEvery: request.checkpoint_every,
    modelUsed: null,
    usage: null,
    costUsd: null,
    snapshotId: null,
    error: null,
    startedAt: change.startedAt,
    endedAt: null,
    endedMs: null,
  };
}

function exportRow(sessionId: string, change: Extract<Change, { type: 'session-exported' }>): Columns<ExportRow> {
  const { data } = change;
  return {
    exportId: data.export_id,
    sessionId,
    label: data.label === null ? null : storable(data.label),
    createdAt: change.at,
    expiresAt: data.expires_at,
    turnNumber: data.turn_number,
    messageCount: data.message_count,
    bundleCid: data.bundle_cid,
  };
}
