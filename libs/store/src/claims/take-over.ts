import type { ProcessAddress } from '#libs/protocol';
import type { Database, SqlPart } from '#libs/sql';
import { part, raw } from '#libs/sql';
import { integer, rows } from '../statement.js';

/** A turn whose claim a process is to have, whoever holds it now. */
export interface TakeOver {
  readonly sessionId: string;
  readonly turnId: string;
  readonly runner: ProcessAddress;
  /** Of the claim's row as it is, where there is one: whether it may be taken. */
  readonly where: SqlPart;
  /** How many epochs it is to have: all below the one that is given, and above all earlier ones. */
  readonly epochs?: number;
  /** What else is set in a row that is there. */
  readonly sets?: SqlPart;
}

/**
 * Takes the claim of a turn at a new epoch, which is above the claim's, the folded one and the
 * database's clock [A3]; null where the row may not be taken, or the session is quarantined [A12].
 */
export async function takeOver(
  database: Database,
  { sessionId, turnId, runner, where, epochs = 1, sets = part`` }: TakeOver,
): Promise<number | null> {
  const by = raw(integer(epochs));
  const greatest = raw(database.dialect === 'postgres' ? 'GREATEST' : 'MAX');
  const [row] = await database.writeOne(
    (writer) => rows(writer)<{ epoch: number }>`
      INSERT INTO claims (session_id, turn_id, epoch, runner_slot, runner_incarnation,
        head_offset, unconfirmed)
      SELECT ${sessionId}, ${turnId}, ${greatest}(fold.folded + ${by}, ${raw(database.nowMs)}),
        ${raw(integer(runner.slot))}, ${runner.incarnation}, -1, ''
      FROM (SELECT COALESCE(MAX(epoch), 0) AS folded FROM sessions
        WHERE session_id = ${sessionId}) AS fold
      WHERE NOT EXISTS (SELECT 1 FROM sessions
        WHERE session_id = ${sessionId} AND phase = 'quarantined')
      ON CONFLICT (session_id) DO UPDATE SET turn_id = excluded.turn_id,
        epoch = ${greatest}(claims.epoch + ${by}, excluded.epoch),
        runner_slot = excluded.runner_slot, runner_incarnation = excluded.runner_incarnation
        ${sets}
      WHERE ${where}
      RETURNING epoch`,
  );
  return row?.epoch ?? null;
}
