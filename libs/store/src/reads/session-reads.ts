import type { OpenSession, SessionState, UpstreamAnswer, WaitingRequest } from '#libs/domain';
import { initialState } from '#libs/domain';
import type {
  JsonObject,
  LogEventOf,
  Message,
  ProcessAddress,
  ToolPolicy,
  TurnError,
  TurnStatus,
  Usage,
} from '#libs/protocol';
import type { Database } from '#libs/sql';
import { raw } from '#libs/sql';
import { integer, rows } from '../statement.js';
import { SessionQuarantined, lastState, servedState } from '../quarantine/stored-state.js';
import { liveSession } from './live-session.js';
import { readEnd, readError, readRequest, wholeText } from './turn-content.js';

/** Of a turn that has not ended; `parked`: open, and nobody runs it, because its calls wait. */
export type OpenStatus = 'queued' | 'open' | 'parked';

/** A turn as folded: its request, and its end if it has one. */
export interface TurnRecord {
  readonly turnId: string;
  /** Of a turn that waits, minus its place in the queue. */
  readonly number: number;
  /** The epoch of the attempt that runs it, or ended it. */
  readonly epoch: number;
  readonly status: OpenStatus | TurnStatus;
  /** Of the attempt that runs it, or ran it last; of a turn that waits, its holder. */
  readonly runner: ProcessAddress;
  /** Messages of the transcript before its own. */
  readonly firstIndex: number;
  readonly messages: readonly Message[];
  readonly model: string;
  readonly options: JsonObject;
  readonly toolPolicy: ToolPolicy;
  readonly checkpointEvery: number;
  /** What the model said last. */
  readonly output: readonly Message[];
  /** What it says to a human, of all its rounds. */
  readonly text: string;
  /** Why the model ended, as it said it. */
  readonly finishReason: string | null;
  /** What the model answered instead of a completion, where that was kept. */
  readonly upstream: UpstreamAnswer | null;
  readonly modelUsed: string | null;
  readonly usage: Usage | null;
  readonly costUsd: number | null;
  readonly snapshotId: string | null;
  readonly error: TurnError | null;
  /** Turns of the session that had completed after it; null while it has not ended. */
  readonly steps: number | null;
  readonly startedAt: string;
  readonly endedAt: string | null;
}

/** A turn without what people and models wrote. */
export type TurnSummary = Omit<
  TurnRecord,
  | 'messages'
  | 'options'
  | 'toolPolicy'
  | 'output'
  | 'text'
  | 'finishReason'
  | 'upstream'
  | 'steps'
  | 'error'
  | 'model'
  | 'checkpointEvery'
  | 'firstIndex'
  | 'runner'
>;

interface TurnSummaryRow extends Omit<TurnSummary, 'usage'> {
  readonly usage: string | null;
}

/** A turn that waits. */
export interface WaitingRecord {
  readonly background: boolean;
  readonly request: WaitingRequest;
}

/** Where a turn stands. */
export interface TurnGlance extends Pick<TurnRecord, 'epoch' | 'status' | 'runner'> {
  /** It ended without the model having seen it. */
  readonly isUnreached: boolean;
}

interface RunnerColumns {
  readonly slot: number;
  readonly incarnation: string;
}

interface TurnRecordRow
  extends
    RunnerColumns,
    Omit<
      TurnRecord,
      | 'messages'
      | 'options'
      | 'toolPolicy'
      | 'output'
      | 'text'
      | 'finishReason'
      | 'upstream'
      | 'usage'
      | 'error'
      | 'runner'
    > {
  readonly request: string;
  readonly output: string | null;
  readonly usage: string | null;
  readonly errorCode: string | null;
}

export function hasEnded(status: OpenStatus | TurnStatus): status is TurnStatus {
  return status !== 'queued' && status !== 'open' && status !== 'parked';
}

/** What services read of sessions. The caller has waited for freshness [A5]. */
export class SessionReads {
  constructor(private readonly database: Database) {}

  /** @throws SessionQuarantined */
  async state(sessionId: string): Promise<SessionState> {
    const text = await this.stateText(sessionId);
    return text === null ? initialState : servedState(text);
  }

  /**
   * As of before it was quarantined, if it is: for what others have of it and never changes, such
   * as whose it is and what it goes on from [A12].
   */
  async lastState(sessionId: string): Promise<SessionState> {
    const text = await this.stateText(sessionId);
    return text === null ? initialState : lastState(text);
  }

  /** A session that is known to be open: that it is not is a fault of the server. */
  async open(sessionId: string): Promise<OpenSession> {
    return mustBeOpen(sessionId, await this.state(sessionId));
  }

  private async stateText(sessionId: string): Promise<string | null> {
    const [row] = await this.database.read(
      (reader) => rows(reader)<{ state: string }>`
        SELECT state FROM sessions WHERE session_id = ${sessionId}`,
    );
    return row?.state ?? null;
  }

  /** The live session of a principal's agent, which need not be folded yet; null without one. */
  async live(principal: string, agentId: string): Promise<string | null> {
    return liveSession(this.database, principal, agentId);
  }

  async turn(sessionId: string, turnId: string): Promise<TurnRecord | null> {
    const [row] = await this.database.read(
      (reader) => rows(reader)<TurnRecordRow>`
        SELECT turn_id AS "turnId", number, epoch, status, runner_slot AS slot,
          runner_incarnation AS incarnation, first_index AS "firstIndex", request,
          model, checkpoint_every AS "checkpointEvery", output, model_used AS "modelUsed", usage,
          cost_usd AS "costUsd", snapshot_id AS "snapshotId", error_code AS "errorCode", steps,
          started_at AS "startedAt", ended_at AS "endedAt"
        FROM turns WHERE session_id = ${sessionId} AND turn_id = ${turnId}
          AND status NOT IN ('restored', 'note')`,
    );
    if (row === undefined) return null;
    const { request, output, usage, errorCode, slot, incarnation, ...columns } = row;
    const { messages, options, toolPolicy } = readRequest(request);
    const end = readEnd(output);
    return {
      ...columns,
      runner: { slot, incarnation },
      messages,
      options,
      toolPolicy,
      output: end.messages,
      text: wholeText(end),
      finishReason: end.finishReason,
      upstream: end.upstream,
      usage: readUsage(usage),
      error: readError(errorCode, output),
    };
  }

  /**
   * Who runs a turn, or that it has ended: nothing of what was said is read.
   * @throws SessionQuarantined
   */
  async attempt(sessionId: string, turnId: string): Promise<TurnGlance | null> {
    const [row] = await this.database.read(
      (reader) => rows(reader)<
        Pick<TurnGlance, 'epoch' | 'status'> &
          RunnerColumns & { readonly unreached: number; readonly phase: string | null }
      >`
        SELECT epoch, status, unreached, runner_slot AS slot, runner_incarnation AS incarnation,
          (SELECT phase FROM sessions WHERE session_id = turns.session_id) AS phase
        FROM turns WHERE session_id = ${sessionId} AND turn_id = ${turnId}`,
    );
    if (row === undefined) return null;
    const { slot, incarnation, unreached, phase, ...columns } = row;
    // What is folded of it may not be how it ended.
    if (phase === 'quarantined') throw new SessionQuarantined();
    return { ...columns, runner: { slot, incarnation }, isUnreached: unreached === 1 };
  }

  /** What a turn that waits is to do; null where it does not wait. */
  async waiting(sessionId: string, turnId: string): Promise<WaitingRecord | null> {
    const [row] = await this.database.read(
      (reader) => rows(reader)<{ readonly request: string; readonly waiting: string }>`
        SELECT request, waiting FROM turns
        WHERE session_id = ${sessionId} AND turn_id = ${turnId} AND status = 'queued'`,
    );
    if (row === undefined) return null;
    const data = JSON.parse(row.waiting) as LogEventOf<'turn.queued'>['data'];
    const { messages, options, toolPolicy } = readRequest(row.request);
    const { background, after: endedBefore, history, bytes, model } = data;
    const { checkpoint_every, body_hash: bodyHash, idempotency_key: idempotencyKey } = data;
    const asked = { model, checkpointEvery: checkpoint_every, bodyHash, idempotencyKey };
    const said = { messages, options, toolPolicy, history, bytes, endedBefore };
    return { background, request: { ...said, ...asked } };
  }

  /** The turns that wait, in the order in which they are to start. */
  async queue(sessionId: string): Promise<readonly TurnSummary[]> {
    const found = await this.database.read(
      (reader) => rows(reader)<TurnSummaryRow>`
        SELECT ${raw(SUMMARY_COLUMNS)} FROM turns
        WHERE session_id = ${sessionId} AND number < 0 ORDER BY number DESC`,
    );
    return found.map((row) => ({ ...row, usage: readUsage(row.usage) }));
  }

  /** Turns behind the number `after`, oldest first, at most `limit`; none that waits. */
  async turns(sessionId: string, after: number, limit: number): Promise<readonly TurnSummary[]> {
    const found = await this.database.read(
      (reader) => rows(reader)<TurnSummaryRow>`
        SELECT ${raw(SUMMARY_COLUMNS)} FROM turns
        WHERE session_id = ${sessionId} AND number > ${after}
          AND status NOT IN ('restored', 'note')
        ORDER BY number LIMIT ${raw(integer(limit))}`,
    );
    return found.map((row) => ({ ...row, usage: readUsage(row.usage) }));
  }
}

/** A session that others have something of. @throws Error where it is not open */
export function mustBeOpen(sessionId: string, state: SessionState): OpenSession {
  if (state.phase === 'open') return state;
  throw new Error(`session ${sessionId} is not open`);
}

const SUMMARY_COLUMNS = `turn_id AS "turnId", number, epoch, status, model_used AS "modelUsed",
  usage, cost_usd AS "costUsd", snapshot_id AS "snapshotId", started_at AS "startedAt",
  ended_at AS "endedAt"`;

function readUsage(text: string | null): Usage | null {
  return text === null ? null : (JSON.parse(text) as Usage);
}
