import type { Database } from '#libs/sql';
import { raw } from '#libs/sql';
import { integer, rows } from '../statement.js';
import { ToolReads, messagesOf } from './tool-reads.js';
import type { TranscriptEntry, Transcripts } from './transcripts.js';
import { readRequest } from './turn-content.js';

/** Why one was taken: a turn completed, tools were about to be called, or had returned. */
export type SnapshotKind = 'checkpoint' | 'pre_action' | 'post_action';

/** A place in a session's log that has a name. */
export interface SnapshotPlace {
  readonly snapshotId: string;
  readonly kind: SnapshotKind;
  readonly turnId: string;
  readonly turnNumber: number;
  /** Of the calls; of a checkpoint one behind all. */
  readonly round: number;
  readonly model: string;
  readonly createdAt: string;
}

/** The session as it was there. */
export interface Snapshot extends SnapshotPlace {
  readonly entries: readonly TranscriptEntry[];
  /** Turns that had completed. */
  readonly steps: number;
}

interface TurnStart {
  readonly firstIndex: number;
  readonly startedAt: string;
  readonly request: string;
  readonly steps: number | null;
}

/** Behind every round that a turn can have. */
const BEHIND = 1_000_000;

const CHECKPOINTS = `SELECT snapshot_id AS "snapshotId", 'checkpoint' AS kind, turn_id AS "turnId",
  number AS "turnNumber", ${BEHIND} AS round, 0 AS side, COALESCE(model_used, model) AS model,
  ended_at AS "createdAt" FROM turns`;
const ROUND = `t.turn_id AS "turnId", r.turn_number AS "turnNumber", r.round AS round`;
const OF_TURN = `FROM tool_rounds r
  JOIN turns t ON t.session_id = r.session_id AND t.number = r.turn_number`;
const BEFORE_CALLS = `SELECT r.called_snapshot_id AS "snapshotId", 'pre_action' AS kind, ${ROUND},
  0 AS side, t.model AS model, r.called_at AS "createdAt" ${OF_TURN}`;
const AFTER_CALLS = `SELECT r.returned_snapshot_id AS "snapshotId", 'post_action' AS kind, ${ROUND},
  1 AS side, t.model AS model, r.returned_at AS "createdAt" ${OF_TURN}`;

/**
 * Snapshots are places in the log, and copied nowhere: what a session was like there is read from
 * its turns. A page costs what it holds [A11]. The caller has waited for freshness [A5].
 */
export class Snapshots {
  private readonly tools: ToolReads;

  constructor(
    private readonly database: Database,
    private readonly transcripts: Transcripts,
  ) {
    this.tools = new ToolReads(database);
  }

  /** Those behind a place, or all, oldest first, at most `limit`. */
  async list(
    sessionId: string,
    after: SnapshotPlace | null,
    limit: number,
  ): Promise<readonly SnapshotPlace[]> {
    const { turnNumber, round, kind } = after ?? { turnNumber: 0, round: 0, kind: 'checkpoint' };
    const side = kind === 'post_action' ? 1 : 0;
    const most = raw(integer(limit));
    const found = await this.database.read(
      (reader) => rows(reader)<SnapshotPlace>`
        SELECT * FROM (
          SELECT * FROM (${raw(CHECKPOINTS)} WHERE session_id = ${sessionId}
            AND number >= ${turnNumber} AND snapshot_id IS NOT NULL
            AND (number, ${raw(integer(BEHIND))}, 0) > (${turnNumber}, ${round}, ${side})
            ORDER BY number LIMIT ${most}) checkpoints
          UNION ALL
          SELECT * FROM (${raw(BEFORE_CALLS)} WHERE r.session_id = ${sessionId}
            AND r.turn_number >= ${turnNumber}
            AND (r.turn_number, r.round, 0) > (${turnNumber}, ${round}, ${side})
            ORDER BY r.turn_number, r.round LIMIT ${most}) before_calls
          UNION ALL
          SELECT * FROM (${raw(AFTER_CALLS)} WHERE r.session_id = ${sessionId}
            AND r.turn_number >= ${turnNumber} AND r.returned_snapshot_id IS NOT NULL
            AND (r.turn_number, r.round, 1) > (${turnNumber}, ${round}, ${side})
            ORDER BY r.turn_number, r.round LIMIT ${most}) after_calls
        ) places ORDER BY "turnNumber", round, side LIMIT ${most}`,
    );
    return found.map(placeOf);
  }

  /** Null where the session has none with this id. */
  async place(sessionId: string, snapshotId: string): Promise<SnapshotPlace | null> {
    const [found] = await this.database.read(
      (reader) => rows(reader)<SnapshotPlace>`
        ${raw(CHECKPOINTS)} WHERE session_id = ${sessionId} AND snapshot_id = ${snapshotId}
        UNION ALL
        ${raw(BEFORE_CALLS)} WHERE r.session_id = ${sessionId}
          AND r.called_snapshot_id = ${snapshotId}
        UNION ALL
        ${raw(AFTER_CALLS)} WHERE r.session_id = ${sessionId}
          AND r.returned_snapshot_id = ${snapshotId}`,
    );
    return found === undefined ? null : placeOf(found);
  }

  /** The session as it was at a place. */
  async at(sessionId: string, place: SnapshotPlace): Promise<Snapshot> {
    const { kind, turnNumber, round, turnId } = place;
    const { entries, steps } = await this.transcripts.asOf(sessionId, turnNumber);
    if (kind === 'checkpoint') return { ...place, entries, steps };
    const turn = await this.turnStart(sessionId, turnNumber);
    const behind = turn.firstIndex + readRequest(turn.request).messages.length;
    const rounds = await this.tools.rounds(sessionId, [turnNumber]);
    const last = rounds.find((each) => each.round === round);
    const whole = kind === 'post_action' ? round : round - 1;
    const called = messagesOf(rounds.filter((each) => each.round <= whole));
    const calling = kind === 'pre_action' && last !== undefined ? [last] : [];
    const said = [...called, ...calling.map((each) => ({ message: each.message, round: each }))];
    return {
      ...place,
      entries: [
        ...entries.filter(({ index }) => index < behind),
        ...said.map(({ message, round: { calledAt } }, at) => {
          const about = { turnId, modelUsed: null, costUsd: null };
          return { ...about, createdAt: calledAt, index: behind + at, message };
        }),
      ],
      steps: turn.steps ?? (await this.transcripts.baseSteps(sessionId)),
    };
  }

  /** `steps`: turns that had completed before it; null of the session's first. */
  private async turnStart(sessionId: string, turnNumber: number): Promise<TurnStart> {
    const [turn] = await this.database.read(
      (reader) => rows(reader)<TurnStart>`
        SELECT first_index AS "firstIndex", started_at AS "startedAt", request,
          (SELECT steps FROM turns earlier WHERE earlier.session_id = ${sessionId}
            AND earlier.number < ${turnNumber} AND earlier.steps IS NOT NULL
            ORDER BY earlier.number DESC LIMIT 1) AS steps
        FROM turns WHERE session_id = ${sessionId} AND number = ${turnNumber}`,
    );
    if (turn === undefined) throw new Error(`turn ${turnNumber} of ${sessionId} is not stored`);
    return turn;
  }
}

function placeOf(row: SnapshotPlace): SnapshotPlace {
  const { snapshotId, kind, turnId, turnNumber, round, model, createdAt } = row;
  return { snapshotId, kind, turnId, turnNumber, round, model, createdAt };
}
