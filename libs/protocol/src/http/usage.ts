import { z } from 'zod';

const Day = z.iso.date('is not a day, such as 2026-05-10');

/** What usage can be told apart by. */
export const USAGE_KEYS = ['day', 'principal', 'agent', 'model', 'device'] as const;
export type UsageKey = (typeof USAGE_KEYS)[number];

/** The most that one answer has. */
export const USAGE_LIMITS = { days: 400, rows: 10_000 } as const;

const DAY_MS = 86_400_000;

/** Query of `GET /v1/sbp/analytics/usage`: days in UTC, both of them included. */
export const UsageQuery = z
  .object({
    /** Without it, the last 30 days up to `to`. */
    from: Day.optional(),
    /** Without it, today. */
    to: Day.optional(),
    group_by: z
      .string()
      .default('day')
      .transform((list) => list.split(','))
      .pipe(
        z
          .array(z.enum(USAGE_KEYS, `is not a list of ${USAGE_KEYS.join(', ')}`))
          .refine((keys) => new Set(keys).size === keys.length, 'names one of them twice'),
      ),
    format: z.enum(['json', 'csv']).default('json'),
  })
  .transform(({ to = dayOf(Date.now()), from = dayOf(Date.parse(to) - 29 * DAY_MS), ...rest }) => ({
    ...{ from, to },
    ...rest,
  }))
  .refine(({ from, to }) => from <= to, { path: ['to'], message: 'is before from' })
  .refine(({ from, to }) => Date.parse(to) - Date.parse(from) < USAGE_LIMITS.days * DAY_MS, {
    path: ['from'],
    message: `is more than ${USAGE_LIMITS.days} days before to; ask for fewer at once`,
  });
export type UsageQuery = Readonly<z.infer<typeof UsageQuery>>;

const count = z.int().min(0);

/** In ms; a percentile is the upper bound of the bucket that it falls into. */
const Durations = z.object({
  count,
  sum: count,
  max: count,
  p50: count.nullable(),
  p95: count.nullable(),
});

/** What was used, of one day, principal, agent, model or device, as `group_by` asked. */
export const UsageRow = z.object({
  day: Day.optional(),
  principal: z.string().optional(),
  agent: z.string().optional(),
  /** Empty where there is none. */
  model: z.string().optional(),
  device: z.string().optional(),
  turns: z.object({ completed: count, failed: count, cancelled: count }),
  prompt_tokens: count,
  completion_tokens: count,
  cost_usd: z.number().min(0),
  /** Completed turns whose cost nobody knows; `cost_usd` is without them. */
  turns_without_cost: count,
  first_token_ms: Durations,
  model_ms: Durations,
  /** Of turns that failed, by code. */
  errors: z.record(z.string(), count),
  /** By outcome. */
  tool_calls: z.record(z.string(), count),
  /** Turns that another process took over. */
  adoptions: count,
  /** Attaches of surfaces. */
  attaches: count,
  tether: z.object({
    /** Turns that had to wait because no surface was attached. */
    waited: count,
    /** From a turn's end to its acknowledgement, of those that were acknowledged since. */
    wait_ms: Durations,
  }),
});
export type UsageRow = Readonly<z.infer<typeof UsageRow>>;

/** Answer of `GET /v1/sbp/analytics/usage`. */
export const UsageResponse = z.object({ from: Day, to: Day, rows: z.array(UsageRow) });
export type UsageResponse = Readonly<z.infer<typeof UsageResponse>>;

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
