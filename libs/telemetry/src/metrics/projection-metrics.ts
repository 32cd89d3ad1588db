import type { Metrics } from './metrics.js';

/** What is asked at a scrape, each within a time of its own; a failure shows no value. */
export interface ProjectionSources {
  readonly waiting: () => Promise<number>;
  readonly quarantined: () => Promise<number>;
}

/** The fold of the log. */
export class ProjectionMetrics {
  private readonly records;

  constructor(metrics: Metrics, { waiting, quarantined }: ProjectionSources) {
    this.records = metrics.counter('sbp_folded_records_total');
    metrics.gauge('sbp_sessions_waiting', async (gauge) => gauge.set(await waiting()));
    metrics.gauge('sbp_sessions_quarantined', async (gauge) => gauge.set(await quarantined()));
  }

  folded(records: number): void {
    this.records.inc(records);
  }
}
