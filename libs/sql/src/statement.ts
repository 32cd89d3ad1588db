import type { EntityManager } from 'typeorm';
import { storageFault } from './faults/driver-errors.js';

type Scalar = string | number | bigint | boolean | null | Buffer;

/**
 * Text that belongs to the statement itself, such as `database.nowMs`; never what came from
 * outside.
 */
export class RawSql {
  constructor(readonly text: string) {}
}

/** Rows of parameters, for `VALUES …`. */
export class SqlTuples {
  constructor(readonly rows: readonly (readonly Scalar[])[]) {}
}

/** A piece of a statement with parameters of its own. */
export class SqlPart {
  constructor(
    readonly strings: TemplateStringsArray,
    readonly values: readonly SqlValue[],
  ) {}
}

/**
 * A value is a parameter (a `null` is text); an array is a list of parameters, for `IN (…)`;
 * `SqlTuples` are lists in parentheses; `RawSql` is text.
 */
export type SqlValue = Scalar | RawSql | SqlTuples | SqlPart | readonly Scalar[];

export interface SqlResult<Row> {
  /** What was selected, or the rows of `RETURNING`. */
  readonly rows: readonly Row[];
  /** How many rows were inserted, updated or deleted; for a SELECT, how many there are. */
  readonly affected: number;
}

type SqlTag = <Row = Record<string, unknown>>(
  strings: TemplateStringsArray,
  ...values: readonly SqlValue[]
) => Promise<SqlResult<Row>>;

export function raw(text: string): RawSql {
  return new RawSql(text);
}

/** A piece of a statement, to be put into another one: sql(tx)`WITH a AS (${part`SELECT …`}) …`. */
export function part(strings: TemplateStringsArray, ...values: readonly SqlValue[]): SqlPart {
  return new SqlPart(strings, values);
}

/**
 * The rows of an `INSERT`, at least one, each in the order of its columns: sql(tx)`INSERT INTO t
 * (a, b) VALUES ${tuples([[1, 2]])}`.
 */
export function tuples(rows: readonly (readonly Scalar[])[]): SqlTuples {
  return new SqlTuples(rows);
}

/**
 * One parametrised statement, in the transaction or reader given: sql(tx)<{ epoch: number }>`SELECT
 * epoch FROM …`.
 *
 * The same result on both dialects: TypeORM's own `sql` tag runs in transactions too, but yields
 * `[rows, count]` for an UPDATE … RETURNING on Postgres, the rows alone on SQLite, and no count at
 * all of an INSERT. 64-bit integers are numbers, times are for the caller to keep as ms, JSON as
 * text. A name that holds upper case or is a keyword must be quoted. @throws StorageFault
 */
export function sql(manager: EntityManager): SqlTag {
  return async <Row>(
    strings: TemplateStringsArray,
    ...values: readonly SqlValue[]
  ): Promise<SqlResult<Row>> => {
    const { text, parameters } = build(manager, strings, values);
    const runner = manager.queryRunner ?? manager.dataSource.createQueryRunner();
    try {
      const result = await runner.query(text, parameters, true);
      const rows = result.records as Row[];
      return { rows, affected: result.affected ?? rows.length };
    } catch (error) {
      throw storageFault(error);
    } finally {
      if (manager.queryRunner === undefined) await runner.release();
    }
  };
}

function build(manager: EntityManager, strings: TemplateStringsArray, values: readonly SqlValue[]) {
  const parameters: Scalar[] = [];
  const parameter = (value: Scalar): string => {
    // Postgres cannot tell the type of a parameter that is always null.
    if (value === null) return 'NULL';
    parameters.push(value);
    return manager.dataSource.driver.createParameter('', parameters.length - 1);
  };
  const text = (pieces: TemplateStringsArray, between: readonly SqlValue[]): string =>
    pieces.reduce((before, next, index) => {
      const value = between[index - 1];
      return before + (value === undefined ? '' : piece(value)) + next;
    });
  const piece = (value: SqlValue): string => {
    if (value instanceof RawSql) return value.text;
    if (value instanceof SqlPart) return text(value.strings, value.values);
    if (value instanceof SqlTuples)
      return value.rows.map((row) => `(${row.map(parameter).join(', ')})`).join(', ');
    if (isList(value)) return value.length === 0 ? 'NULL' : value.map(parameter).join(', ');
    return parameter(value);
  };
  return { text: text(strings, values), parameters };
}

function isList(value: SqlValue): value is readonly Scalar[] {
  return Array.isArray(value);
}
