import type { LogEventOf } from '#libs/protocol';
import type { Database } from '#libs/sql';
import { raw } from '#libs/sql';
import { distinct } from '../distinct.js';
import { integer, rows } from '../statement.js';

interface Promised {
  /** The session that is to be opened. */
  readonly sessionId: string;
  /** The session whose log promised it. */
  readonly sourceId: string;
  readonly isKept: boolean;
  /** Of the event. */
  readonly createdAt: string;
}

/** A session that another one's log has promised [A17]. */
export type PromisedSession = Promised &
  (
    | {
        readonly type: 'handoff';
        readonly data: LogEventOf<'session.handed_off'>['data'];
        readonly content: LogEventOf<'session.handed_off'>['content'];
      }
    | { readonly type: 'import'; readonly data: LogEventOf<'export.consumed'>['data'] }
    | {
        readonly type: 'remote';
        readonly data: LogEventOf<'import.begun'>['data'];
        readonly content: LogEventOf<'import.begun'>['content'];
      }
  );

interface PromiseRow {
  readonly sessionId: string;
  readonly sourceId: string;
  readonly type: PromisedSession['type'];
  readonly data: string;
  readonly content: string;
  readonly kept: number;
  readonly createdAt: string;
}

const COLUMNS = `session_id AS "sessionId", source_id AS "sourceId", type, data, content, kept,
  created_at AS "createdAt"`;

/** What sessions have promised; only the open promises are scanned [A11]. */
export class Promises {
  constructor(private readonly database: Database) {}

  /** The processes that are to keep some: one look-up in an index for each. */
  makers(): Promise<readonly string[]> {
    return distinct(this.database, {
      table: 'promised_sessions',
      column: 'maker',
      where: 'kept = 0',
    });
  }

  /**
   * The sessions that these processes are to open: those behind a session id, in the order of their
   * ids, at most `limit`.
   */
  async openOf(
    makers: readonly string[],
    after: string,
    limit: number,
  ): Promise<readonly string[]> {
    if (makers.length === 0) return [];
    const found = await this.database.read(
      (reader) => rows(reader)<{ readonly sessionId: string }>`
        SELECT session_id AS "sessionId" FROM promised_sessions
        WHERE kept = 0 AND maker IN (${[...makers]}) AND session_id > ${after}
        ORDER BY session_id LIMIT ${raw(integer(limit))}`,
    );
    return found.map(({ sessionId }) => sessionId);
  }

  /** The promise of a session; null where nobody has promised it. */
  async find(sessionId: string): Promise<PromisedSession | null> {
    const [row] = await this.database.read(
      (reader) => rows(reader)<PromiseRow>`
        SELECT ${raw(COLUMNS)} FROM promised_sessions
        WHERE session_id = ${sessionId} AND source_id IS NOT NULL`,
    );
    return row === undefined ? null : promisedOf(row);
  }

  /** What a session has promised, oldest first, at most `limit`. */
  async by(sourceId: string, limit: number): Promise<readonly PromisedSession[]> {
    const found = await this.database.read(
      (reader) => rows(reader)<PromiseRow>`
        SELECT ${raw(COLUMNS)} FROM promised_sessions WHERE source_id = ${sourceId}
        ORDER BY created_at, session_id LIMIT ${raw(integer(limit))}`,
    );
    return found.map(promisedOf);
  }

  /**
   * An epoch for the opening of an agent's next live session: above those of all earlier ones, and
   * the database's clock in ms.
   */
  async nextEpoch(principal: string, agentId: string): Promise<number> {
    const greatest = raw(this.database.dialect === 'postgres' ? 'GREATEST' : 'MAX');
    const [row] = await this.database.read(
      (reader) => rows(reader)<{ epoch: number }>`
        SELECT ${greatest}(${raw(this.database.nowMs)}, COALESCE((
          SELECT opened_epoch + 1 FROM live_sessions
          WHERE principal = ${principal} AND agent_id = ${agentId}), 0)) AS epoch`,
    );
    if (row === undefined) throw new Error('a statement without a table gave no row');
    return row.epoch;
  }
}

function promisedOf(row: PromiseRow): PromisedSession {
  const { sessionId, sourceId, type, kept, createdAt } = row;
  const about = { sessionId, sourceId, isKept: kept === 1, createdAt };
  // As the fold wrote them.
  const [data, content] = [JSON.parse(row.data), JSON.parse(row.content)] as [unknown, unknown];
  return { ...about, type, data, content } as PromisedSession;
}
