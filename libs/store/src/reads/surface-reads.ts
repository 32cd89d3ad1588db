import type { SessionState } from '#libs/domain';
import { endingCalls, initialState } from '#libs/domain';
import type { TurnError, TurnStatus } from '#libs/protocol';
import type { Database } from '#libs/sql';
import type { SqlPart } from '#libs/sql';
import { part, raw } from '#libs/sql';
import { servedState } from '../quarantine/stored-state.js';
import { rows } from '../statement.js';
import { readEnd, readError, wholeText } from './turn-content.js';

/** One ended turn that a surface is owed. */
export interface OwedTurn {
  readonly turnId: string;
  readonly number: number;
  readonly epoch: number;
  readonly seq: number;
  readonly status: TurnStatus;
  readonly text: string;
  readonly modelUsed: string | null;
  readonly costUsd: number | null;
  /** The client's own tools that it ended with calls of. */
  readonly toolCalls: readonly string[];
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
  /** How often a call of a tool was given to a surface. */
  readonly called: number;
  readonly openTurn: {
    readonly turnId: string;
    readonly epoch: number;
    /** Nobody runs it, or soon will not. */
    readonly waits: boolean;
  } | null;
}

/** Most owed turns in one read. */
export const OWED_PAGE = 100;
/** A page ends with the turn that passes this many bytes, so that memory stays bounded. */
export const OWED_PAGE_BYTES = 4 * 1024 * 1024;

interface OwedRow {
  readonly turnId: string;
  readonly number: number;
  readonly epoch: number;
  readonly seq: number;
  readonly status: TurnStatus;
  readonly output: string | null;
  readonly modelUsed: string | null;
  readonly costUsd: number | null;
  readonly errorCode: string | null;
  readonly createdAt: string;
}

/** What gateways read. */
export class SurfaceReads {
  constructor(private readonly database: Database) {}

  /**
   * One statement, so that what is drained and what is live cannot overlap or leave a gap [A7].
   * @throws SessionQuarantined
   */
  async view(sessionId: string, written: number): Promise<SurfaceView> {
    const found = await this.database.read(
      (reader) => rows(reader)<{ state: string } & (OwedRow | { turnId: null })>`
        ${owedPage(sessionId, written, null)}
        SELECT s.state AS state, ${raw(OWED_COLUMNS)} FROM sessions s
        LEFT JOIN sized t ON t.before < ${raw(String(OWED_PAGE_BYTES))}
        WHERE s.session_id = ${sessionId} ORDER BY t.seq`,
    );
    const [first] = found;
    if (first === undefined) return { session: initialState, owed: [] };
    return {
      session: servedState(first.state),
      owed: found.flatMap((row) => (row.turnId === null ? [] : [owedTurn(row)])),
    };
  }

  /** The next page of turns with `after < seq ≤ upTo`. */
  async owed(sessionId: string, after: number, upTo: number): Promise<readonly OwedTurn[]> {
    const found = await this.database.read(
      (reader) => rows(reader)<OwedRow>`
        ${owedPage(sessionId, after, upTo)}
        SELECT ${raw(OWED_COLUMNS)} FROM sized t
        WHERE t.before < ${raw(String(OWED_PAGE_BYTES))} ORDER BY t.seq`,
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
        called: number;
        turnId: string | null;
        epoch: number | null;
        dueAt: number | null;
      }>`
        SELECT session_id AS id, attach_id AS "attachId", head AS head, called AS called,
          open_turn_id AS "turnId", open_epoch AS epoch, due_at AS "dueAt"
        FROM sessions WHERE session_id IN (${[...sessionIds]})`,
    );
    return new Map(
      found.map(({ id, attachId, head, called, turnId, epoch, dueAt }) => [
        id,
        {
          ...{ attachId, head, called },
          openTurn:
            turnId === null || epoch === null ? null : { turnId, epoch, waits: dueAt !== 0 },
        },
      ]),
    );
  }
}

/** The next turns behind `after`, each with the bytes of those before it in the page. */
function owedPage(sessionId: string, after: number, upTo: number | null): SqlPart {
  const limit = upTo === null ? part`` : part`AND seq <= ${upTo}`;
  return part`
    WITH page AS (
      SELECT turn_id, number, epoch, seq, status, output, model_used, cost_usd, error_code,
        ended_at,
        COALESCE(octet_length(output), 0) AS bytes
      FROM turns WHERE session_id = ${sessionId} AND seq > ${after} ${limit}
      ORDER BY seq LIMIT ${raw(String(OWED_PAGE))}
    ), sized AS (SELECT page.*, SUM(bytes) OVER (ORDER BY seq) - bytes AS before FROM page)`;
}

const OWED_COLUMNS = `t.turn_id AS "turnId", t.number AS number, t.epoch AS epoch, t.seq AS seq,
  t.status AS status, t.output AS output, t.model_used AS "modelUsed",
  t.cost_usd AS "costUsd", t.error_code AS "errorCode", t.ended_at AS "createdAt"`;

function owedTurn({ output, errorCode, ...row }: OwedRow): OwedTurn {
  const end = readEnd(output);
  return {
    turnId: row.turnId,
    number: row.number,
    epoch: row.epoch,
    seq: row.seq,
    status: row.status,
    text: wholeText(end),
    modelUsed: row.modelUsed,
    costUsd: row.costUsd,
    toolCalls: endingCalls(end.messages),
    error: readError(errorCode, output),
    createdAt: row.createdAt,
  };
}
