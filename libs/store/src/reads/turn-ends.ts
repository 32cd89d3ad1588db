import type { TurnEnd } from '#libs/domain';
import type { Database } from '#libs/sql';
import { part, raw } from '#libs/sql';
import { rows } from '../statement.js';

/** A snapshot, as an export says it of the place that it was made at. */
export interface LastSnapshot {
  readonly snapshotId: string;
  readonly steps: number;
  readonly model: string;
  readonly createdAt: string;
}

/** What a session was like after its own turns: one row each, whatever came before. */
export class TurnEnds {
  constructor(private readonly database: Database) {}

  /** After the turn with this number; null where it has not ended, or is none. */
  async after(sessionId: string, number: number): Promise<TurnEnd | null> {
    return this.find(part`session_id = ${sessionId} AND number = ${number}`);
  }

  /** After so many turns of the session had completed, none of them behind `last`. */
  async atStep(sessionId: string, step: number, last: number): Promise<TurnEnd | null> {
    return this.find(
      part`session_id = ${sessionId} AND steps = ${step} AND status = 'completed'
        AND number <= ${last}`,
    );
  }

  /** The last checkpoint that a turn has taken up to this one. */
  async lastSnapshot(sessionId: string, number: number): Promise<LastSnapshot | null> {
    const [row] = await this.database.read(
      (reader) => rows(reader)<LastSnapshot>`
        SELECT snapshot_id AS "snapshotId", steps, COALESCE(model_used, model) AS model,
          ended_at AS "createdAt"
        FROM turns
        WHERE session_id = ${sessionId} AND number <= ${number} AND snapshot_id IS NOT NULL
        ORDER BY number DESC LIMIT 1`,
    );
    return row ?? null;
  }

  private async find(where: ReturnType<typeof part>): Promise<TurnEnd | null> {
    const [row] = await this.database.read(
      (reader) => rows(reader)<{ [K in keyof TurnEnd]: TurnEnd[K] | null }>`
        SELECT number, end_index AS messages, session_bytes AS bytes, steps,
          session_cost_usd AS "costUsd", system_turn AS "systemTurn"
        FROM turns WHERE ${where} ORDER BY number LIMIT ${raw('1')}`,
    );
    if (row?.number == null || row.steps === null) return null;
    const { number, messages, bytes, steps, costUsd, systemTurn } = row;
    return {
      ...{ number, steps, costUsd },
      messages: messages ?? 0,
      bytes: bytes ?? 0,
      systemTurn: systemTurn ?? 0,
    };
  }
}
