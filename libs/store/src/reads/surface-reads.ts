import type { SessionState } from '#libs/domain';
import { initialState, turnText } from '#libs/domain';
import type { Message, TurnError, TurnStatus } from '#libs/protocol';
import type { Database } from '#libs/sql';
import { raw } from '#libs/sql';
import { rows } from '../statement.js';

/** One ended turn that a surface is owed. */
export interface OwedTurn {
  readonly turnId: string;
  readonly number: number;
  readonly epoch: number;
  readonly seq: number;
  readonly status: TurnStatus;
  readonly text: string;
  readonly modelUsed: string | null;
  readonly error: TurnError | null;
  readonly createdAt: string;
}

/** All that decides what a socket gets, as of one read [A7]. */
export interface SurfaceView {
  readonly session: SessionState;
  /** The turns with `written < seq ≤ head`, oldest first, at most `OWED_PAGE`. */
  readonly owed: readonly OwedTurn[];
}

export interface Glance {
  readonly attachId: string | null;
  readonly head: number;
  readonly openTurn: { readonly turnId: string; readonly epoch: number } | null;
}

/** Most owed turns in one read. */
export const OWED_PAGE = 100;

interface OwedRow {
  readonly turnId: string;
  readonly number: number;
  readonly epoch: number;
  readonly seq: number;
  readonly status: TurnStatus;
  readonly output: string;
  readonly modelUsed: string | null;
  readonly error: string | null;
  readonly createdAt: string;
}

/** What gateways read. */
export class SurfaceReads {
  constructor(private readonly database: Database) {}

  /** One statement, so that what is drained and what is live cannot overlap or leave a gap [A7]. */
  async view(sessionId: string, written: number): Promise<SurfaceView> {
    const found = await this.database.read(
      (reader) => rows(reader)<{ state: string } & (OwedRow | { turnId: null })>`
        SELECT s.state AS state, ${raw(owedColumns)} FROM sessions s
        LEFT JOIN turns t ON t.session_id = s.session_id AND t.seq > ${written}
        WHERE s.session_id = ${sessionId} ORDER BY t.seq LIMIT ${raw(String(OWED_PAGE))}`,
    );
    const [first] = found;
    if (first === undefined) return { session: initialState, owed: [] };
    return {
      session: JSON.parse(first.state) as SessionState,
      owed: found.flatMap((row) => (row.turnId === null ? [] : [owedTurn(row)])),
    };
  }

  /** The next page of turns with `after < seq ≤ upTo`. */
  async owed(sessionId: string, after: number, upTo: number): Promise<readonly OwedTurn[]> {
    const found = await this.database.read(
      (reader) => rows(reader)<OwedRow>`
        SELECT ${raw(owedColumns)} FROM turns t
        WHERE t.session_id = ${sessionId} AND t.seq > ${after} AND t.seq <= ${upTo}
        ORDER BY t.seq LIMIT ${raw(String(OWED_PAGE))}`,
    );
    return found.map(owedTurn);
  }

  /** One query for many sockets: those that differ from what their gateway knows are synced. */
  async glance(sessionIds: readonly string[]): Promise<ReadonlyMap<string, Glance>> {
    if (sessionIds.length === 0) return new Map();
    const found = await this.database.read(
      (reader) => rows(reader)<{
        id: string;
        attachId: string | null;
        head: number;
        turnId: string | null;
        epoch: number | null;
      }>`
        SELECT session_id AS id, attach_id AS "attachId", head AS head, open_turn_id AS "turnId", open_epoch AS epoch
        FROM sessions WHERE session_id IN (${[...sessionIds]})`,
    );
    return new Map(
      found.map(({ id, attachId, head, turnId, epoch }) => [
        id,
        { attachId, head, openTurn: turnId === null || epoch === null ? null : { turnId, epoch } },
      ]),
    );
  }
}

const owedColumns = `t.turn_id AS "turnId", t.number AS number, t.epoch AS epoch, t.seq AS seq, t.status AS status,
  t.output AS output, t.model_used AS "modelUsed", t.error AS error, t.ended_at AS "createdAt"`;

function owedTurn({ output, error, ...row }: OwedRow): OwedTurn {
  return {
    turnId: row.turnId,
    number: row.number,
    epoch: row.epoch,
    seq: row.seq,
    status: row.status,
    text: turnText(JSON.parse(output) as Message[]),
    modelUsed: row.modelUsed,
    error: error === null ? null : (JSON.parse(error) as TurnError),
    createdAt: row.createdAt,
  };
}
