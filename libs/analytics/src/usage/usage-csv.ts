import type { UsageKey, UsageRow } from '#libs/protocol';

type Durations = UsageRow['model_ms'];

/** Usage as CSV (RFC 4180), with a line of names. */
export function usageCsv(groupBy: readonly UsageKey[], rows: readonly UsageRow[]): string {
  const head = [...groupBy, ...Object.keys(valuesOf(NONE))];
  const lines = rows.map((row) => [
    ...groupBy.map((key) => row[key] ?? ''),
    ...Object.values(valuesOf(row)),
  ]);
  return [head, ...lines].map((line) => `${line.map(cell).join(',')}\r\n`).join('');
}

/** The values of a line by the names of their columns, in order. */
function valuesOf(row: UsageRow): Readonly<Record<string, string | number>> {
  const { turns, tether } = row;
  return {
    turns_completed: turns.completed,
    turns_failed: turns.failed,
    turns_cancelled: turns.cancelled,
    prompt_tokens: row.prompt_tokens,
    completion_tokens: row.completion_tokens,
    cost_usd: row.cost_usd.toFixed(9),
    turns_without_cost: row.turns_without_cost,
    ...durationColumns('first_token_ms', row.first_token_ms),
    ...durationColumns('model_ms', row.model_ms),
    errors: list(row.errors),
    tool_calls: list(row.tool_calls),
    adoptions: row.adoptions,
    attaches: row.attaches,
    tether_waited: tether.waited,
    ...durationColumns('tether_wait_ms', tether.wait_ms),
  };
}

function durationColumns(name: string, { count, sum, max, p50, p95 }: Durations) {
  return {
    [`${name}_count`]: count,
    [`${name}_sum`]: sum,
    [`${name}_max`]: max,
    [`${name}_p50`]: p50 ?? '',
    [`${name}_p95`]: p95 ?? '',
  };
}

/** `code=3; other=1` */
function list(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${name}=${count}`)
    .join('; ');
}

/**
 * One cell. A text that a spreadsheet would take for a formula gets an apostrophe before it,
 * because model and agent names are whatever a client has sent.
 */
function cell(value: string | number): string {
  if (typeof value === 'number') return String(value);
  const text = /^[\s]*[=+\-@]|^[\t\r\n]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const NO_DURATIONS: Durations = { count: 0, sum: 0, max: 0, p50: null, p95: null };

const NONE: UsageRow = {
  turns: { completed: 0, failed: 0, cancelled: 0 },
  prompt_tokens: 0,
  completion_tokens: 0,
  cost_usd: 0,
  turns_without_cost: 0,
  first_token_ms: NO_DURATIONS,
  model_ms: NO_DURATIONS,
  errors: {},
  tool_calls: {},
  adoptions: 0,
  attaches: 0,
  tether: { waited: 0, wait_ms: NO_DURATIONS },
};
