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

/** A number as SQL text: its type stays an integer where a parameter's would have to be guessed. */
export function integer(value: number): string {
  if (!Number.isSafeInteger(value)) throw new RangeError(`not an integer: ${String(value)}`);
  return String(value);
}
