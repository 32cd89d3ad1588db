import type { Database } from '#libs/sql';
import { raw } from '#libs/sql';
import { distinct } from '../distinct.js';
import { integer, rows } from '../statement.js';

/** The head of a session's queue, in a session in which nothing runs. */
export interface QueueHead {
  readonly sessionId: string;
  readonly turnId: string;
}

const STARTABLE = 'next_turn_id IS NOT NULL AND open_turn_id IS NULL';

/** Turns whose time has come; only live rows are read [A11] [A14]. */
export class QueueHeads {
  constructor(private readonly database: Database) {}

  /** The processes that are to start some: one look-up in an index for each. */
  holders(): Promise<readonly string[]> {
    return distinct(this.database, {
      table: 'sessions',
      column: 'next_holder',
      where: STARTABLE,
    });
  }

  /** How many sessions have one, at most `most`: as many rows of the index are read. */
  async count(most: number): Promise<number> {
    const [found] = await this.database.read(
      (reader) => rows(reader)<{ count: number | string }>`
        SELECT count(*) AS count FROM (
          SELECT next_holder FROM sessions
          WHERE ${raw(STARTABLE)} AND next_holder IS NOT NULL LIMIT ${raw(integer(most))}
        ) AS heads`,
    );
    return Number(found?.count ?? 0);
  }

  /** Those that these processes are to start. */
  async heldBy(incarnations: readonly string[], limit: number): Promise<readonly QueueHead[]> {
    if (incarnations.length === 0) return [];
    return this.database.read(
      (reader) => rows(reader)<QueueHead>`
        SELECT session_id AS "sessionId", next_turn_id AS "turnId" FROM sessions
        WHERE ${raw(STARTABLE)} AND next_holder IN (${[...incarnations]})
        LIMIT ${raw(integer(limit))}`,
    );
  }
}
