import type { SqlValue } from '#libs/sql';
import { sql } from '#libs/sql';
import type { EntityManager } from 'typeorm';

/** As `sql`, where only the rows are wanted. */
export function rows(manager: EntityManager) {
  return async <Row>(
    strings: TemplateStringsArray,
    ...values: readonly SqlValue[]
  ): Promise<readonly Row[]> => (await sql(manager)<Row>(strings, ...values)).rows;
}
