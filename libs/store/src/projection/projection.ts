import type { Change, SessionState } from '#libs/domain';
import { evolve, initialState } from '#libs/domain';
import type { LogEvent, ProcessAddress } from '#libs/protocol';
import { tuples } from '#libs/sql';
import type { EntityManager } from 'typeorm';
import { ExportRow } from '../entities/export.entity.js';
import type { SessionRow } from '../entities/session.entity.js';
import { TurnRow } from '../entities/turn.entity.js';
import { rows } from '../statement.js';

/** The consumer of the log that folds it; its position says how far the read models are. */
export const PROJECTOR = 'projector';

/** A gateway whose surface has something new to see. */
export interface PokeTarget {
  readonly sessionId: string;
  readonly gateway: ProcessAddress;
}

/**
 * The read models as a pure fold of the log [A4]: every rule is in the domain's `evolve`, none is
 * in SQL.
 */
export class Projection {
  /**
   * Folds events, in log order, inside the caller's transaction; gives the gateways to poke once it
   * has committed.
   */
  async apply(
    transaction: EntityManager,
    events: readonly LogEvent[],
  ): Promise<readonly PokeTarget[]> {
    if (events.length === 0) return [];
    const before = await this.load(transaction, new Set(events.map((event) => event.session_id)));
    const after = new Map<string, SessionState>();
    const changes: { readonly sessionId: string; readonly change: Change }[] = [];
    const pokes = new Map<string, PokeTarget>();
    for (const event of events) {
      const sessionId = event.session_id;
      const evolution = evolve(
        after.get(sessionId) ?? before.get(sessionId) ?? initialState,
        event,
      );
      after.set(sessionId, evolution.state);
      for (const change of evolution.changes) changes.push({ sessionId, change });
      for (const gateway of evolution.poke) {
        pokes.set(`${sessionId} ${gateway.incarnation}`, { sessionId, gateway });
      }
    }
    const sessions = [...after].filter(
      ([id, state]) => before.get(id) !== state && state !== initialState,
    );
    if (sessions.length > 0) {
      await upsertSessions(
        transaction,
        sessions.map(([id, state]) => sessionRow(id, state)),
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

  private async write(
    transaction: EntityManager,
    sessionId: string,
    change: Change,
  ): Promise<void> {
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
        await insertTurn(transaction, turnRow(sessionId, change));
        return;
      case 'turn-adopted':
        await transaction.update(
          TurnRow,
          { sessionId, turnId: change.turnId },
          {
            epoch: change.epoch,
            runnerSlot: change.runner.slot,
            runnerIncarnation: change.runner.incarnation,
          },
        );
        return;
      case 'turn-ended':
        await endTurn(transaction, sessionId, change);
        return;
      case 'turn-owed':
        await transaction.update(
          TurnRow,
          { sessionId, turnId: change.turnId },
          { seq: change.seq },
        );
        return;
      case 'session-exported':
        await transaction.upsert(ExportRow, exportRow(sessionId, change), ['exportId']);
    }
  }
}

// The statements of every turn are written out: TypeORM writes numbers into the text, and SQLite
// would prepare each text anew.

async function upsertSessions(
  transaction: EntityManager,
  sessions: readonly Columns<SessionRow>[],
): Promise<void> {
  await rows(transaction)`
    INSERT INTO sessions (session_id, phase, epoch, state, head, open_turn_id, open_epoch, attach_id, gateway_slot,
      gateway_incarnation)
    VALUES ${tuples(
      sessions.map((row) => [
        ...[
          row.sessionId,
          row.phase,
          row.epoch,
          row.state,
          row.head,
          row.openTurnId,
          row.openEpoch,
          row.attachId,
        ],
        ...[row.gatewaySlot, row.gatewayIncarnation],
      ]),
    )}
    ON CONFLICT (session_id) DO UPDATE SET phase = excluded.phase, epoch = excluded.epoch, state = excluded.state,
      head = excluded.head, open_turn_id = excluded.open_turn_id, open_epoch = excluded.open_epoch,
      attach_id = excluded.attach_id, gateway_slot = excluded.gateway_slot,
      gateway_incarnation = excluded.gateway_incarnation`;
}

async function insertTurn(transaction: EntityManager, turn: Columns<TurnRow>): Promise<void> {
  await rows(transaction)`
    INSERT INTO turns (session_id, turn_id, number, epoch, runner_slot, runner_incarnation, status, keeps, messages, system,
      output, model, options, checkpoint_every, started_at)
    VALUES (${turn.sessionId}, ${turn.turnId}, ${turn.number}, ${turn.epoch}, ${turn.runnerSlot}, ${turn.runnerIncarnation},
      ${turn.status}, ${turn.keeps}, ${turn.messages}, ${turn.system}, ${turn.output}, ${turn.model}, ${turn.options},
      ${turn.checkpointEvery}, ${turn.startedAt})`;
}

async function endTurn(
  transaction: EntityManager,
  sessionId: string,
  change: Extract<Change, { type: 'turn-ended' }>,
): Promise<void> {
  const { status, seq, messages, modelUsed, usage, costUsd, snapshotId, error, endedAt } = change;
  await rows(transaction)`
    UPDATE turns SET status = ${status}, seq = ${seq}, output = ${JSON.stringify(messages)},
      model_used = ${modelUsed === null ? null : storable(modelUsed)},
      usage = ${usage === null ? null : JSON.stringify(usage)}, cost_usd = ${costUsd}, snapshot_id = ${snapshotId},
      error = ${error === null ? null : JSON.stringify(error)}, ended_at = ${endedAt}, ended_ms = ${Date.parse(endedAt)}
    WHERE session_id = ${sessionId} AND turn_id = ${change.turnId}`;
}

/**
 * Postgres takes no NUL in a text, and a fact that cannot be folded would stop its partition; in
 * JSON it is escaped.
 */
function storable(text: string): string {
  return text.replaceAll('\0', '\ufffd');
}

/** An entity's columns as a plain object. */
type Columns<T> = { readonly [K in keyof T]: T[K] };

function sessionRow(sessionId: string, state: SessionState): Columns<SessionRow> {
  const turn = state.phase === 'open' ? state.turn : null;
  const attachment =
    state.phase === 'open' && state.surface.type === 'attached' ? state.surface.attachment : null;
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

function turnRow(
  sessionId: string,
  change: Extract<Change, { type: 'turn-started' }>,
): Columns<TurnRow> {
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

function exportRow(
  sessionId: string,
  change: Extract<Change, { type: 'session-exported' }>,
): Columns<ExportRow> {
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
