import type { Database } from '#libs/sql';
import { raw } from '#libs/sql';
import { rows } from './statement.js';

/** Where to look; all are SQL text. */
interface Place {
  readonly table: string;
  /** The first column of an index of the rows that `where` picks. */
  readonly column: string;
  readonly where: string;
}

/**
 * The different values of a column: one look-up in its index for each, however many rows have it
 * [A11].
 */
export async function distinct(database: Database, place: Place): Promise<readonly string[]> {
  const [table, column, where] = [raw(place.table), raw(place.column), raw(place.where)];
  const found = await database.read(
    (reader) => rows(reader)<{ value: string }>`
      WITH RECURSIVE found (value) AS (
        SELECT MIN(${column}) FROM ${table} WHERE ${where}
        UNION ALL
        SELECT (SELECT MIN(${column}) FROM ${table} WHERE ${where} AND ${column} > found.value)
        FROM found WHERE found.value IS NOT NULL
      )
      SELECT value FROM found WHERE value IS NOT NULL`,
  );
  return found.map(({ value }) => value);
}
