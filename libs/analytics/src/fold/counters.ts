/*
 * Names of counters. Those that begin with `max.` are raised, all others are added to; so a value
 * is the same however the log was cut into batches. Costs are whole billionths of a dollar, because
 * sums of fractions depend on their order.
 */

export const COUNTERS = {
  completed: 'turns.completed',
  failed: 'turns.failed',
  cancelled: 'turns.cancelled',
  withoutCost: 'turns.without_cost',
  promptTokens: 'tokens.prompt',
  completionTokens: 'tokens.completion',
  cost: 'cost.nano_usd',
  adoptions: 'adoptions',
  attaches: 'attaches',
  waited: 'tether.waited',
} as const;

/** Durations that are told with their distribution. */
export type Measure = 'first_token_ms' | 'model_ms' | 'tether_wait_ms';

export const ERROR_PREFIX = 'error.';
export const TOOL_PREFIX = 'tool.';
/** For `LIKE`. */
export const MAX_PATTERN = 'max.%';

const OVERFLOW = 'more';

/** Upper bounds of a distribution's buckets, in ms: a minute for models, days for the Tether. */
export const BUCKETS: readonly number[] = [
  ...[10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 60_000],
  ...[300_000, 3_600_000, 21_600_000, 86_400_000, 604_800_000],
];

export const measured = {
  count: (measure: Measure) => `${measure}.count`,
  sum: (measure: Measure) => `${measure}.sum`,
  max: (measure: Measure) => `max.${measure}`,
  /** The bucket of a duration, or of all that are longer than the last bound. */
  bucket: (measure: Measure, bound: number | null) => `${measure}.le.${bound ?? OVERFLOW}`,
};

/** What one duration adds. */
export function durationCounts(
  measure: Measure,
  ms: number,
): readonly (readonly [string, number])[] {
  const value = whole(ms);
  const bound = BUCKETS.find((each) => value <= each) ?? null;
  return [
    [measured.count(measure), 1],
    [measured.sum(measure), value],
    [measured.max(measure), value],
    [measured.bucket(measure, bound), 1],
  ];
}

/** The most that one event adds: sums of many stay exact, whatever a model has said. */
const MOST = 1e12;

/** A number of the log as the whole number that is counted. */
export function whole(value: number): number {
  return Math.min(Math.max(0, Math.round(value)), MOST);
}

export function nanoUsd(usd: number): number {
  return whole(usd * 1e9);
}
