import { Children } from './children.js';
import type { Metrics } from './metrics.js';

/** Why the log did not take an append; `error`: it is closed, or broken in a way of its own. */
export type AppendFailure = 'too_large' | 'not_authorised' | 'overloaded' | 'error';

/** What the appends of a process meet. */
export class LogMetrics {
  private readonly durations;
  private readonly failures;

  /** @param outage why the log takes no appends now; asked at each scrape */
  constructor(metrics: Metrics, outage: () => string | null) {
    this.durations = metrics.histogram('sbp_log_append_duration_seconds');
    const failures = metrics.counter('sbp_log_append_failures_total');
    this.failures = new Children((...values) => failures.labels(...values));
    metrics.gauge('sbp_log_outage', (gauge) => gauge.set(outage() === null ? 0 : 1));
  }

  appended(ms: number): void {
    this.durations.observe(ms / 1_000);
  }

  failed(reason: AppendFailure): void {
    this.failures.of(reason).inc();
  }
}
