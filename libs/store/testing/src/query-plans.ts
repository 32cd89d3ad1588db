import type { EntityManager, QueryRunner } from 'typeorm';
import type { Database } from '#libs/sql';

/** How the database would read one table in one statement. */
export interface TableAccess {
  /** The table's name, or on SQLite its alias. */
  readonly table: string;
  /** Null for a scan of the table itself. */
  readonly index: string | null;
  /** Whether it goes to a place in the index, and does not read all of that. */
  readonly isSearch: boolean;
  /** The plan's own words, to be shown where a test fails. */
  readonly plan: string;
}

/**
 * How the database would run all statements that some work sends; the work is done, too. `forget`:
 * what was sent so far does not count.
 */
export async function plansOf(
  database: Database,
  work: (explained: Database, forget: () => void) => Promise<unknown>,
): Promise<readonly TableAccess[]> {
  let found: readonly TableAccess[] = [];
  const how = database.dialect === 'sqlite' ? sqlitePlan : postgresPlan;
  const explain: Explain = async (runner, text, parameters) => {
    const plan = await how(runner, text, parameters);
    found = [...found, ...plan];
  };
  await work(explained(database, explain), () => {
    found = [];
  });
  return found;
}

type Explain = (runner: QueryRunner, text: string, parameters?: unknown[]) => Promise<void>;

/** The same database, which explains each statement before it runs it. */
function explained(database: Database, explain: Explain): Database {
  const wrapped =
    <T>(work: (manager: EntityManager) => Promise<T>) =>
    async (manager: EntityManager): Promise<T> => {
      const runner = manager.queryRunner ?? manager.dataSource.createQueryRunner();
      const query = async (text: string, parameters?: unknown[]): Promise<unknown> => {
        await explain(runner, text, parameters);
        return runner.query(text, parameters, true);
      };
      const queryRunner = Object.assign(Object.create(runner) as QueryRunner, { query });
      const replaced: Pick<EntityManager, 'queryRunner'> = { queryRunner };
      return work(Object.assign(Object.create(manager) as EntityManager, replaced));
    };
  const methods: Pick<Database, 'read' | 'write' | 'writeOne'> = {
    read: (work) => database.read(wrapped(work)),
    write: (work, options) => database.write(wrapped(work), options),
    writeOne: (work, options) => database.writeOne(wrapped(work), options),
  };
  return Object.assign(Object.create(database) as Database, methods);
}

/** For example 'SEARCH s USING COVERING INDEX sessions_due (due_at<?)'. */
const SQLITE_LINE = /^(SCAN|SEARCH) (\w+)(?: USING (?:COVERING )?INDEX (\w+))?/;

async function sqlitePlan(
  runner: QueryRunner,
  text: string,
  parameters?: unknown[],
): Promise<readonly TableAccess[]> {
  const lines = (await runner.query(`EXPLAIN QUERY PLAN ${text}`, parameters)) as readonly {
    readonly detail: string;
  }[];
  return lines.flatMap(({ detail }) => {
    const [, how, table, index] = SQLITE_LINE.exec(detail) ?? [];
    if (table === undefined) return [];
    return [{ table, index: index ?? null, isSearch: how === 'SEARCH', plan: detail }];
  });
}

interface PostgresNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Index Cond'?: string;
  readonly Plans?: readonly PostgresNode[];
}

async function postgresPlan(
  runner: QueryRunner,
  text: string,
  parameters?: unknown[],
): Promise<readonly TableAccess[]> {
  const [row] = (await runner.query(`EXPLAIN (FORMAT JSON) ${text}`, parameters)) as readonly {
    readonly 'QUERY PLAN': readonly { readonly Plan: PostgresNode }[];
  }[];
  return (row?.['QUERY PLAN'] ?? []).flatMap(({ Plan: plan }) => accesses(plan, null));
}

/** `heap`: the table of the bitmap scan that the node is a part of. */
function accesses(node: PostgresNode, heap: string | null): readonly TableAccess[] {
  const type = node['Node Type'];
  const table = node['Relation Name'] ?? heap;
  const below = (node.Plans ?? []).flatMap((child) =>
    accesses(child, type === 'Bitmap Heap Scan' ? table : null),
  );
  // A bitmap scan reads what its index says, and a write what is below it.
  const reads = type.endsWith('Scan') && type !== 'Bitmap Heap Scan' && table !== null;
  if (!reads) return below;
  const plan = `${type} ${node['Index Name'] ?? ''} on ${table} (${node['Index Cond'] ?? ''})`;
  const isSearch = node['Index Cond'] !== undefined;
  return [{ table, index: node['Index Name'] ?? null, isSearch, plan }, ...below];
}
