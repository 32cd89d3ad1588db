import type { UsageKey, UsageRow } from '#libs/protocol';
import { BUCKETS, COUNTERS, ERROR_PREFIX, TOOL_PREFIX, measured } from '../fold/counters.js';
import type { Measure } from '../fold/counters.js';

type Values = ReadonlyMap<string, number>;

/** Counters as the outside sees them. */
export function usageRow(
  keys: Readonly<Partial<Record<UsageKey, string>>>,
  values: Values,
): UsageRow {
  const value = (counter: string): number => values.get(counter) ?? 0;
  return {
    ...keys,
    turns: {
      completed: value(COUNTERS.completed),
      failed: value(COUNTERS.failed),
      cancelled: value(COUNTERS.cancelled),
    },
    prompt_tokens: value(COUNTERS.promptTokens),
    completion_tokens: value(COUNTERS.completionTokens),
    cost_usd: value(COUNTERS.cost) / 1e9,
    turns_without_cost: value(COUNTERS.withoutCost),
    first_token_ms: durations('first_token_ms', value),
    model_ms: durations('model_ms', value),
    errors: named(values, ERROR_PREFIX),
    tool_calls: named(values, TOOL_PREFIX),
    adoptions: value(COUNTERS.adoptions),
    attaches: value(COUNTERS.attaches),
    tether: {
      waited: value(COUNTERS.waited),
      wait_ms: durations('tether_wait_ms', value),
    },
  };
}

function named(values: Values, prefix: string): Readonly<Record<string, number>> {
  return Object.fromEntries(
    [...values].flatMap(([counter, value]) =>
      counter.startsWith(prefix) ? [[counter.slice(prefix.length), value] as const] : [],
    ),
  );
}

function durations(measure: Measure, value: (counter: string) => number) {
  const count = value(measured.count(measure));
  const max = value(measured.max(measure));
  /** The bound of the bucket that the duration at this share falls into, or the maximum. */
  const percentile = (share: number): number | null => {
    if (count === 0) return null;
    let below = 0;
    for (const bound of BUCKETS) {
      below += value(measured.bucket(measure, bound));
      if (below >= count * share) return Math.min(bound, max);
    }
    return max;
  };
  const sum = value(measured.sum(measure));
  return { count, sum, max, p50: percentile(0.5), p95: percentile(0.95) };
}
