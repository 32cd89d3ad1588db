import type { JsonObject, Memory, SessionOrigin } from '#libs/protocol';
import type { Database } from '#libs/sql';
import { raw } from '#libs/sql';
import { integer, rows } from '../statement.js';

/** What whoever opened a session brought along. */
interface BroughtAlong {
  readonly label: string | null;
  readonly memory: Memory | null;
  readonly stateSnapshot: JsonObject | null;
  /** When the conversation began elsewhere; null where that is not known. */
  readonly beganAt: string | null;
}

/** A session that was made from another one. */
export interface DerivedSession extends BroughtAlong {
  readonly sessionId: string;
  readonly origin: SessionOrigin;
  /** Turns that had completed, and messages, when it was opened. */
  readonly steps: number;
  readonly messages: number;
  readonly createdAt: string;
}

interface DerivedRow extends Omit<DerivedSession, 'origin' | keyof BroughtAlong> {
  readonly origin: string;
  readonly content: string;
}

const COLUMNS = `session_id AS "sessionId", origin, content, steps, messages,
  created_at AS "createdAt"`;

/** Where sessions come from, and what has become of them. */
export class Lineage {
  constructor(private readonly database: Database) {}

  /** Null for a session that a request has opened. */
  async of(sessionId: string): Promise<DerivedSession | null> {
    const [row] = await this.database.read(
      (reader) => rows(reader)<DerivedRow>`
        SELECT ${raw(COLUMNS)} FROM session_origins WHERE session_id = ${sessionId}`,
    );
    return row === undefined ? null : derivedOf(row);
  }

  /** The sessions that were made from one, oldest first, at most `limit`. */
  async from(sessionId: string, limit: number): Promise<readonly DerivedSession[]> {
    const found = await this.database.read(
      (reader) => rows(reader)<DerivedRow>`
        SELECT ${raw(COLUMNS)} FROM session_origins WHERE source_id = ${sessionId}
        ORDER BY created_at, session_id LIMIT ${raw(integer(limit))}`,
    );
    return found.map(derivedOf);
  }
}

function derivedOf({ origin, content, ...columns }: DerivedRow): DerivedSession {
  const said = JSON.parse(content) as {
    readonly label?: string | null;
    readonly memory?: Memory | null;
    readonly state_snapshot?: JsonObject | null;
    readonly began_at?: string;
  };
  const { label = null, memory = null, state_snapshot: stateSnapshot = null } = said;
  const brought = { label, memory, stateSnapshot, beganAt: said.began_at ?? null };
  return { ...columns, ...brought, origin: JSON.parse(origin) as SessionOrigin };
}
