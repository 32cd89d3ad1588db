import type { SessionState } from '#libs/domain';
import { initialState } from '#libs/domain';
import type { JsonObject, Message, TurnError, TurnStatus, Usage } from '#libs/protocol';
import type { Database } from '#libs/sql';
import { rows } from '../statement.js';
import { readError, readOutput, readRequest } from './turn-content.js';

/** A turn as folded: its request, and its end if it has one. */
export interface TurnRecord {
  readonly turnId: string;
  readonly number: number;
  /** The epoch of the attempt that runs it, or ended it. */
  readonly epoch: number;
  readonly status: 'open' | TurnStatus;
  /** Messages of the transcript before its own. */
  readonly firstIndex: number;
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

interface TurnRecordRow extends Omit<
  TurnRecord,
  'messages' | 'options' | 'output' | 'usage' | 'error'
> {
  readonly request: string;
  readonly output: string | null;
  readonly usage: string | null;
  readonly errorCode: string | null;
}

/** What services read of sessions. The caller has waited for freshness [A5]. */
export class SessionReads {
  constructor(private readonly database: Database) {}

  async state(sessionId: string): Promise<SessionState> {
    return this.database.read(async (reader) => {
      const [row] = await rows(reader)<{ state: string }>`
        SELECT state FROM sessions WHERE session_id = ${sessionId}`;
      return row === undefined ? initialState : (JSON.parse(row.state) as SessionState);
    });
  }

  /** The live session of a principal's agent, which need not be folded yet; null without one. */
  async live(principal: string, agentId: string): Promise<string | null> {
    const [row] = await this.database.read(
      (reader) => rows(reader)<{ sessionId: string }>`
        SELECT session_id AS "sessionId" FROM live_sessions
        WHERE principal = ${principal} AND agent_id = ${agentId}`,
    );
    return row?.sessionId ?? null;
  }

  async turn(sessionId: string, turnId: string): Promise<TurnRecord | null> {
    const [row] = await this.database.read(
      (reader) => rows(reader)<TurnRecordRow>`
        SELECT turn_id AS "turnId", number, epoch, status, first_index AS "firstIndex", request,
          model, checkpoint_every AS "checkpointEvery", output, model_used AS "modelUsed", usage,
          cost_usd AS "costUsd", snapshot_id AS "snapshotId", error_code AS "errorCode"
        FROM turns WHERE session_id = ${sessionId} AND turn_id = ${turnId}`,
    );
    if (row === undefined) return null;
    const { request, output, usage, errorCode, ...columns } = row;
    const { messages, options } = readRequest(request);
    return {
      ...columns,
      messages,
      options,
      output: readOutput(output),
      usage: usage === null ? null : (JSON.parse(usage) as Usage),
      error: readError(errorCode, output),
    };
  }
}
