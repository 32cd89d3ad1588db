import type { Table, TestStore } from './test-store.js';

/** Tables that are the fold of the log, and nothing else. */
const READ_MODELS: readonly Table[] = [
  'sessions',
  'turns',
  'tool_rounds',
  'tool_calls',
  'surface_tools',
  'live_sessions',
  'exports',
  'session_origins',
  'promised_sessions',
  'quarantined_sessions',
  'quarantined_events',
  'skipped_events',
];

type Row = Readonly<Record<string, unknown>>;

/**
 * All rows of the read models, with their JSON columns read, so that a difference is shown where it
 * is. `keeps`: which rows are wanted.
 */
export async function tablesOf(
  store: TestStore,
  keeps: (row: Row) => boolean = () => true,
): Promise<Readonly<Record<string, readonly Row[]>>> {
  const entries = await Promise.all(
    READ_MODELS.map(async (table) => {
      const sorted = (await store.rows(table)).filter(keeps).sort(byText);
      return [table, sorted.map(readable)] as const;
    }),
  );
  return Object.fromEntries(entries);
}

/** `rows` orders by two columns, which is not enough of some tables' keys. */
function byText(one: Row, other: Row): number {
  return JSON.stringify(one) < JSON.stringify(other) ? -1 : 1;
}

function readable(row: Row): Row {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [name, isJson(value) ? JSON.parse(value) : value]),
  );
}

function isJson(value: unknown): value is string {
  if (typeof value !== 'string' || !/^[{[]/.test(value)) return false;
  try {
    JSON.parse(value);
    return true;
  } catch {
    return false;
  }
}
