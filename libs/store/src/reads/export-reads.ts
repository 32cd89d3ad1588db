import type { ExportFate } from '#libs/domain';
import type { Database } from '#libs/sql';
import { part, raw } from '#libs/sql';
import { SessionQuarantined } from '../quarantine/stored-state.js';
import { integer, rows } from '../statement.js';

/** One export of a session. */
export interface ExportRecord {
  readonly exportId: string;
  readonly sessionId: string;
  readonly label: string | null;
  readonly createdAt: string;
  readonly expiresAt: string;
  /** The last turn of the session that the bundle holds; 0 for none. */
  readonly turnNumber: number;
  readonly messageCount: number;
  readonly bundleCid: string;
  readonly fate: ExportFate;
}

interface ExportColumns extends Omit<ExportRecord, 'label' | 'fate'> {
  readonly content: string;
  readonly fate: string;
}

const COLUMNS = `export_id AS "exportId", session_id AS "sessionId", content,
  created_at AS "createdAt", expires_at AS "expiresAt", turn_number AS "turnNumber",
  message_count AS "messageCount", bundle_cid AS "bundleCid", fate`;

/** What is read of exports. The caller has waited for freshness [A5]. */
export class ExportReads {
  constructor(private readonly database: Database) {}

  /** @throws SessionQuarantined where its session is, because it may be used or revoked */
  async one(exportId: string): Promise<ExportRecord | null> {
    const [row] = await this.database.read(
      (reader) => rows(reader)<ExportColumns & { readonly phase: string | null }>`
        SELECT ${raw(COLUMNS)},
          (SELECT phase FROM sessions s WHERE s.session_id = exports.session_id) AS phase
        FROM exports WHERE export_id = ${exportId}`,
    );
    if (row === undefined) return null;
    const { phase, ...columns } = row;
    if (phase === 'quarantined') throw new SessionQuarantined();
    return recordOf(columns);
  }

  /** Those of a session behind one of them, or the newest, at most `limit`; newest first. */
  async list(
    sessionId: string,
    after: Pick<ExportRecord, 'createdAt' | 'exportId'> | null,
    limit: number,
  ): Promise<readonly ExportRecord[]> {
    const behind =
      after === null
        ? part``
        : part`AND (created_at, export_id) < (${after.createdAt}, ${after.exportId})`;
    const found = await this.database.read(
      (reader) => rows(reader)<ExportColumns>`
        SELECT ${raw(COLUMNS)} FROM exports WHERE session_id = ${sessionId} ${behind}
        ORDER BY created_at DESC, export_id DESC LIMIT ${raw(integer(limit))}`,
    );
    return found.map(recordOf);
  }
}

function recordOf({ content, fate, ...columns }: ExportColumns): ExportRecord {
  const { label = null } = JSON.parse(content) as { readonly label?: string | null };
  return { ...columns, label, fate: JSON.parse(fate) as ExportFate };
}
