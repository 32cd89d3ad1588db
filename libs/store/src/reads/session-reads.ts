import type { SessionState } from '#libs/domain';
import { applyTurn, initialState } from '#libs/domain';
import type { JsonObject, Message, TurnError, TurnStatus, Usage } from '#libs/protocol';
import type { Database } from '#libs/sql';
import { raw } from '#libs/sql';
import { rows } from '../statement.js';

/** A message of a transcript, with the turn that brought it. */
export interface TranscriptEntry {
  readonly message: Message;
  readonly turnId: string;
  readonly modelUsed: string | null;
  readonly costUsd: number | null;
  readonly createdAt: string;
}

/** A session's conversation as its turns made it. */
export interface Transcript {
  readonly system: readonly Message[];
  readonly entries: readonly TranscriptEntry[];
  /** How many entries at the end belong to a last turn that failed or was cancelled. */
  readonly unanswered: number;
  /** Turns that completed. */
  readonly steps: number;
  /** The number of its last turn; 0 before any. */
  readonly turnNumber: number;
  /** What the turns cost together; null if it is not known of one that completed. */
  readonly totalCostUsd: number | null;
}

/** A turn as folded: its request, and its end if it has one. */
export interface TurnRecord {
  readonly turnId: string;
  /** The epoch of the attempt that runs it, or ended it. */
  readonly epoch: number;
  readonly status: 'open' | TurnStatus;
  readonly keeps: number;
  readonly messages: readonly Message[];
  readonly model: string;
  readonly options: JsonObject;
  readonly checkpointEvery: number;
  readonly output: readonly Message[];
  readonly modelUsed: string | null;
  readonly usage: Usage | null;
  readonly costUsd: number | null;
  readonly snapshotId: string | null;
  readonly error: TurnError | null;
}

interface StoredTurn {
  readonly turnId: string;
  readonly number: number;
  readonly status: 'open' | TurnStatus;
  readonly keeps: number;
  readonly messages: string;
  readonly system: string | null;
  readonly output: string;
  readonly modelUsed: string | null;
  readonly costUsd: number | null;
  readonly startedAt: string;
  readonly endedAt: string | null;
}

/**
 * What services read of sessions and their transcripts. The caller has waited for freshness [A5].
 */
export class SessionReads {
  constructor(private readonly database: Database) {}

  async state(sessionId: string): Promise<SessionState> {
    return this.database.read(async (reader) => {
      const [row] = await rows(reader)<{ state: string }>`
        SELECT state FROM sessions WHERE session_id = ${sessionId}`;
      return row === undefined ? initialState : (JSON.parse(row.state) as SessionState);
    });
  }

  /** The conversation up to a turn (all of it by default), in order. */
  async transcript(sessionId: string, upToTurn = Number.MAX_SAFE_INTEGER): Promise<Transcript> {
    const turns = await this.database.read(
      (reader) => rows(reader)<StoredTurn>`
        SELECT turn_id AS "turnId", number, status, keeps, messages, system, output, model_used AS "modelUsed",
          cost_usd AS "costUsd", started_at AS "startedAt", ended_at AS "endedAt"
        FROM turns WHERE session_id = ${sessionId} AND number <= ${raw(String(upToTurn))} ORDER BY number`,
    );
    return assemble(turns);
  }

  async turn(sessionId: string, turnId: string): Promise<TurnRecord | null> {
    const [row] = await this.database.read(
      (reader) => rows(reader)<
        Omit<TurnRecord, 'messages' | 'options' | 'output' | 'usage' | 'error'> & {
          messages: string;
          options: string;
          output: string;
          usage: string | null;
          error: string | null;
        }
      >`
        SELECT turn_id AS "turnId", epoch, status, keeps, messages, model, options, checkpoint_every AS "checkpointEvery", output,
          model_used AS "modelUsed", usage, cost_usd AS "costUsd", snapshot_id AS "snapshotId", error
        FROM turns WHERE session_id = ${sessionId} AND turn_id = ${turnId}`,
    );
    if (row === undefined) return null;
    return {
      ...row,
      messages: JSON.parse(row.messages) as Message[],
      options: JSON.parse(row.options) as JsonObject,
      output: JSON.parse(row.output) as Message[],
      usage: row.usage === null ? null : (JSON.parse(row.usage) as Usage),
      error: row.error === null ? null : (JSON.parse(row.error) as TurnError),
    };
  }

  /** The session that requests of this agent belong to when they name none. */
  async liveSession(principal: string, agentId: string): Promise<string | null> {
    const [row] = await this.database.read(
      (reader) => rows(reader)<{ session_id: string }>`
        SELECT session_id FROM live_sessions WHERE principal = ${principal} AND agent_id = ${agentId}`,
    );
    return row?.session_id ?? null;
  }
}

function assemble(turns: readonly StoredTurn[]): Transcript {
  let system: readonly Message[] = [];
  let entries: readonly TranscriptEntry[] = [];
  let unanswered = 0;
  let steps = 0;
  let totalCostUsd: number | null = 0;
  for (const turn of turns) {
    if (turn.system !== null) system = JSON.parse(turn.system) as Message[];
    const { turnId } = turn;
    const asked = (JSON.parse(turn.messages) as Message[]).map((message): TranscriptEntry => {
      return { message, turnId, modelUsed: null, costUsd: null, createdAt: turn.startedAt };
    });
    const output = JSON.parse(turn.output) as Message[];
    const answered = output.map((message, index): TranscriptEntry => {
      // The cost is the turn's: it stands once, at its last message.
      const costUsd = index === output.length - 1 ? turn.costUsd : null;
      return {
        message,
        turnId,
        modelUsed: turn.modelUsed,
        costUsd,
        createdAt: turn.endedAt ?? turn.startedAt,
      };
    });
    entries = applyTurn(entries, turn.keeps, [...asked, ...answered]);
    unanswered = turn.status === 'failed' || turn.status === 'cancelled' ? asked.length : 0;
    if (turn.status === 'completed') {
      steps++;
      totalCostUsd =
        totalCostUsd === null || turn.costUsd === null ? null : totalCostUsd + turn.costUsd;
    }
  }
  return {
    system,
    entries,
    unanswered,
    steps,
    turnNumber: turns.at(-1)?.number ?? 0,
    totalCostUsd,
  };
}
