import type { OpenSession } from '#libs/domain';
import { initialState } from '#libs/domain';
import type { Database } from '#libs/sql';
import { part, raw } from '#libs/sql';
import { lastState } from '../quarantine/stored-state.js';
import { integer, rows } from '../statement.js';

/** Which sessions of a principal are asked for; null: whatever it is. */
export interface SessionFilter {
  readonly principal: string;
  readonly agentId: string | null;
  readonly status: string | null;
  readonly label: string | null;
  /** Opened at or after this instant, ISO 8601 in UTC. */
  readonly since: string | null;
}

/** A place in the list: behind this session. */
export interface SessionPlace {
  readonly createdAt: string;
  readonly sessionId: string;
}

export interface ListedSession {
  readonly sessionId: string;
  readonly session: OpenSession;
  readonly label: string | null;
}

/**
 * A principal's sessions, newest first. A page costs what it holds [A11]. None that is quarantined
 * [A12].
 */
export class SessionList {
  constructor(private readonly database: Database) {}

  /** Those behind a place, or the newest, at most `limit`. */
  async page(
    { principal, agentId, status, label, since }: SessionFilter,
    after: SessionPlace | null,
    limit: number,
  ): Promise<readonly ListedSession[]> {
    const ofAgent = agentId === null ? part`` : part`AND agent_id = ${agentId}`;
    const inStatus = status === null ? part`` : part`AND status = ${status}`;
    const labelled = label === null ? part`` : part`AND label = ${label}`;
    const begun = since === null ? part`` : part`AND created_at >= ${since}`;
    const behind =
      after === null
        ? part``
        : part`AND (created_at, session_id) < (${after.createdAt}, ${after.sessionId})`;
    const found = await this.database.read(
      (reader) => rows(reader)<{ sessionId: string; state: string; label: string | null }>`
        SELECT session_id AS "sessionId", state, label FROM sessions
        WHERE principal = ${principal} ${ofAgent} ${inStatus} ${labelled} ${begun} ${behind}
        ORDER BY created_at DESC, session_id DESC LIMIT ${raw(integer(limit))}`,
    );
    return found.map(({ sessionId, state, label: called }) => {
      return { sessionId, session: JSON.parse(state) as OpenSession, label: called };
    });
  }

  /** Where a principal's session is in the list; null where it has none of that id. */
  async placeOf(sessionId: string, principal: string): Promise<SessionPlace | null> {
    const [row] = await this.database.read(
      (reader) => rows(reader)<{ state: string }>`
        SELECT state FROM sessions WHERE session_id = ${sessionId}`,
    );
    const session = row === undefined ? initialState : lastState(row.state);
    if (session.phase !== 'open' || session.principal !== principal) return null;
    return { createdAt: session.createdAt, sessionId };
  }

  /**
   * Of all principals, those that somebody suspended by their status at or before `instant`, in ms
   * since 1970; the longest suspended first, at most `limit`.
   */
  async suspendedSince(instant: number, limit: number): Promise<readonly string[]> {
    const found = await this.database.read(
      (reader) => rows(reader)<{ sessionId: string }>`
        SELECT session_id AS "sessionId" FROM sessions
        WHERE suspended_at IS NOT NULL AND suspended_at <= ${instant}
        ORDER BY suspended_at LIMIT ${raw(integer(limit))}`,
    );
    return found.map(({ sessionId }) => sessionId);
  }

  /** As whoever opened the session called it. */
  async labelOf(sessionId: string): Promise<string | null> {
    const [row] = await this.database.read(
      (reader) => rows(reader)<{ label: string | null }>`
        SELECT label FROM sessions WHERE session_id = ${sessionId}`,
    );
    return row?.label ?? null;
  }
}
