import type { Change } from '#libs/domain';
import { tuples } from '#libs/sql';
import type { EntityManager } from 'typeorm';
import type { SurfaceToolsRow } from '../entities/surface-tools.entity.js';
import type { ToolCallRow } from '../entities/tool-call.entity.js';
import type { ToolRoundRow } from '../entities/tool-round.entity.js';
import { rows } from '../statement.js';
import type { Columns } from './turn-writes.js';

type ChangeOf<T extends Change['type']> = Extract<Change, { type: T }>;
export type ToolChange = ChangeOf<
  | 'tools-called'
  | 'tool-called'
  | 'call-decided'
  | 'call-returned'
  | 'round-returned'
  | 'surface-attached'
>;

type CallColumns = Columns<ToolCallRow>;
type RoundColumns = Columns<ToolRoundRow>;
type CallEnd = Pick<CallColumns, 'outcome' | 'content' | 'returnedAt'>;
type RoundEnd = Pick<RoundColumns, 'returnedSnapshotId' | 'returnedAt'>;

/**
 * What a batch of events does to calls of tools: rows of rounds and calls that began in the batch,
 * and the ends of those that were there before; one statement for each kind [A11].
 */
export class ToolWrites {
  private readonly rounds = new Map<string, RoundColumns>();
  private readonly calls = new Map<string, CallColumns>();
  private readonly returned = new Map<
    string,
    Pick<CallColumns, 'sessionId' | 'callId'> & CallEnd
  >();
  private readonly decided = new Map<
    string,
    Pick<CallColumns, 'sessionId' | 'callId' | 'decisionId'>
  >();
  private readonly ended = new Map<
    string,
    Pick<RoundColumns, 'sessionId' | 'turnNumber' | 'round'> & RoundEnd
  >();
  private readonly surfaces = new Map<string, Columns<SurfaceToolsRow>>();

  /** `content`: of the event, where it is the change's. */
  add(sessionId: string, change: ToolChange, content: string | null): void {
    switch (change.type) {
      case 'tools-called':
        this.call(sessionId, change, content ?? '{}');
        return;
      case 'call-returned': {
        const { callId, outcome, at: returnedAt } = change;
        const key = `${sessionId} ${callId}`;
        const end = { outcome, content, returnedAt };
        const inserted = this.calls.get(key);
        if (inserted === undefined) this.returned.set(key, { sessionId, callId, ...end });
        else Object.assign(inserted, end);
        return;
      }
      case 'tool-called': {
        const { callId, toolName: tool_name } = change;
        const made = JSON.stringify({ tool_name, ...(JSON.parse(content ?? '{}') as object) });
        this.calls.set(`${sessionId} ${callId}`, {
          ...{ sessionId, callId, turnNumber: 0, round: 0, position: 0, made },
          ...{ decisionId: null, content: null },
          ...OPEN,
        });
        return;
      }
      case 'call-decided': {
        const { callId, decisionId } = change;
        const key = `${sessionId} ${callId}`;
        const inserted = this.calls.get(key);
        if (inserted === undefined) this.decided.set(key, { sessionId, callId, decisionId });
        else inserted.decisionId = decisionId;
        return;
      }
      case 'round-returned': {
        const { number: turnNumber, round, snapshotId: returnedSnapshotId, at } = change;
        const key = `${sessionId} ${turnNumber} ${round}`;
        const end = { returnedSnapshotId, returnedAt: at };
        const inserted = this.rounds.get(key);
        if (inserted === undefined) this.ended.set(key, { sessionId, turnNumber, round, ...end });
        else Object.assign(inserted, end);
        return;
      }
      case 'surface-attached':
        if (content !== null) {
          this.surfaces.set(sessionId, { sessionId, attachId: change.attachId, content });
        }
    }
  }

  async write(transaction: EntityManager): Promise<void> {
    if (this.rounds.size > 0) await insertRounds(transaction, [...this.rounds.values()]);
    if (this.calls.size > 0) await insertCalls(transaction, [...this.calls.values()]);
    if (this.decided.size > 0) await decideCalls(transaction, [...this.decided.values()]);
    if (this.returned.size > 0) await endCalls(transaction, [...this.returned.values()]);
    if (this.ended.size > 0) await endRounds(transaction, [...this.ended.values()]);
    if (this.surfaces.size > 0) await declare(transaction, [...this.surfaces.values()]);
  }

  private call(sessionId: string, change: ChangeOf<'tools-called'>, content: string): void {
    const { number: turnNumber, data, snapshotId: calledSnapshotId, at } = change;
    const { round, shows_images, usage, cost_usd: costUsd, calls } = data;
    this.rounds.set(`${sessionId} ${turnNumber} ${round}`, {
      ...{ sessionId, turnNumber, round, content, calledSnapshotId, costUsd },
      showsImages: shows_images ? 1 : 0,
      usage: usage === null ? null : JSON.stringify(usage),
      calledAt: at,
      returnedSnapshotId: null,
      returnedAt: null,
    });
    for (const [position, { call_id: callId, tool }] of calls.entries()) {
      const end = tool === null ? { outcome: 'error', returnedAt: at } : OPEN;
      const place = { sessionId, callId, turnNumber, round, position };
      this.calls.set(`${sessionId} ${callId}`, {
        ...place,
        ...end,
        ...{ content: null, decisionId: null, made: null },
      });
    }
  }
}

const OPEN = { outcome: null, returnedAt: null };

async function insertRounds(
  transaction: EntityManager,
  rounds: readonly RoundColumns[],
): Promise<void> {
  await rows(transaction)`
    INSERT INTO tool_rounds (session_id, turn_number, round, content, shows_images, usage, cost_usd,
      called_snapshot_id, called_at, returned_snapshot_id, returned_at)
    VALUES ${tuples(
      rounds.map((row) => [
        ...[row.sessionId, row.turnNumber, row.round, row.content, row.showsImages, row.usage],
        ...[row.costUsd, row.calledSnapshotId, row.calledAt],
        ...[row.returnedSnapshotId, row.returnedAt],
      ]),
    )}`;
}

async function insertCalls(
  transaction: EntityManager,
  calls: readonly CallColumns[],
): Promise<void> {
  await rows(transaction)`
    INSERT INTO tool_calls (session_id, call_id, turn_number, round, position, decision_id, made,
      outcome, content, returned_at)
    VALUES ${tuples(
      calls.map((row) => [
        ...[row.sessionId, row.callId, row.turnNumber, row.round, row.position],
        ...[row.decisionId, row.made, row.outcome, row.content, row.returnedAt],
      ]),
    )}`;
}

async function decideCalls(
  transaction: EntityManager,
  calls: readonly Pick<CallColumns, 'sessionId' | 'callId' | 'decisionId'>[],
): Promise<void> {
  await rows(transaction)`
    WITH decided (session_id, call_id, decision_id) AS (VALUES ${tuples(
      calls.map((row) => [row.sessionId, row.callId, row.decisionId]),
    )})
    UPDATE tool_calls SET decision_id = decided.decision_id FROM decided
    WHERE tool_calls.session_id = decided.session_id AND tool_calls.call_id = decided.call_id`;
}

async function endCalls(
  transaction: EntityManager,
  calls: readonly (Pick<CallColumns, 'sessionId' | 'callId'> & CallEnd)[],
): Promise<void> {
  await rows(transaction)`
    WITH returned (session_id, call_id, outcome, content, returned_at) AS (VALUES ${tuples(
      calls.map((row) => [
        ...[row.sessionId, row.callId, row.outcome, row.content, row.returnedAt],
      ]),
    )})
    UPDATE tool_calls SET outcome = returned.outcome, content = returned.content,
      returned_at = returned.returned_at
    FROM returned
    WHERE tool_calls.session_id = returned.session_id AND tool_calls.call_id = returned.call_id`;
}

async function endRounds(
  transaction: EntityManager,
  rounds: readonly (Pick<RoundColumns, 'sessionId' | 'turnNumber' | 'round'> & RoundEnd)[],
): Promise<void> {
  await rows(transaction)`
    WITH ended (session_id, turn_number, round, snapshot_id, returned_at) AS (VALUES ${tuples(
      rounds.map((row) => [
        ...[row.sessionId, row.turnNumber, row.round, row.returnedSnapshotId, row.returnedAt],
      ]),
    )})
    UPDATE tool_rounds SET returned_snapshot_id = ended.snapshot_id,
      returned_at = ended.returned_at
    FROM ended
    WHERE tool_rounds.session_id = ended.session_id
      AND tool_rounds.turn_number = CAST(ended.turn_number AS integer)
      AND tool_rounds.round = CAST(ended.round AS integer)`;
}

async function declare(
  transaction: EntityManager,
  surfaces: readonly Columns<SurfaceToolsRow>[],
): Promise<void> {
  await rows(transaction)`
    INSERT INTO surface_tools (session_id, attach_id, content)
    VALUES ${tuples(surfaces.map((row) => [row.sessionId, row.attachId, row.content]))}
    ON CONFLICT (session_id) DO UPDATE SET attach_id = excluded.attach_id,
      content = excluded.content`;
}
