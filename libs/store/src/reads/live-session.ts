import type { Database } from '#libs/sql';
import { rows } from '../statement.js';

/** The live session of a principal's agent, which need not be folded yet; null without one. */
export async function liveSession(
  database: Database,
  principal: string,
  agentId: string,
): Promise<string | null> {
  const [row] = await database.read(
    (reader) => rows(reader)<{ sessionId: string }>`
      SELECT session_id AS "sessionId" FROM live_sessions
      WHERE principal = ${principal} AND agent_id = ${agentId}`,
  );
  return row?.sessionId ?? null;
}
