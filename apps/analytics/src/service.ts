import { AnalyticsModule, analyticsSchema } from '#libs/analytics';
import type { ServiceSpec } from '#libs/runtime';

/** Analytics: counts what the log says of usage, cost and latency. */
export function analyticsService(): ServiceSpec {
  return {
    name: 'analytics',
    reads: true,
    tables: analyticsSchema,
    modules: () => [{ module: AnalyticsModule }],
  };
}
