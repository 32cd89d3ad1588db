import type { EntityManager } from 'typeorm';

/** A tagged SQL statement whose rows are wanted: `rows(manager)\`SELECT …\``. */
export type Rows = <T>(strings: TemplateStringsArray, ...values: unknown[]) => Promise<readonly T[]>;

/**
 * Runs one parametrised statement on either dialect and gives its rows. Postgres' driver answers an UPDATE or DELETE with
 * `[rows, count]`, SQLite's with the rows alone. A function among the values inserts its result as SQL (or an array as a
 * parameter list).
 */
export function rows(manager: EntityManager): Rows {
  return async <T>(strings: TemplateStringsArray, ...values: unknown[]): Promise<readonly T[]> => {
    const result: unknown = await manager.sql<unknown>(strings, ...values);
    if (!Array.isArray(result)) return [];
    const [first] = result as unknown[];
    return (Array.isArray(first) ? first : result) as readonly T[];
  };
}
