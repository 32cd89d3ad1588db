import type { Metrics } from './metrics.js';

/** How far the fold is in one partition. */
export interface Projected {
  readonly partition: number;
  /** The offset after the log's last record, and after the last one that is folded. */
  readonly end: number;
  readonly position: number;
}

/** What is asked at a scrape, each within a time of its own; a failure shows no value. */
export interface ProjectionSources {
  readonly projected: () => Promise<readonly Projected[]>;
  readonly waiting: () => Promise<number>;
  readonly quarantined: () => Promise<number>;
}

interface Lag {
  readonly partition: number;
  readonly records: number;
  readonly seconds: number;
}

/** A log's end that a scrape saw, and when. */
interface Seen {
  readonly end: number;
  readonly at: number;
}

/** The fold of the log, as its readers wait for it. */
export class ProjectionMetrics {
  private readonly records;
  private readonly sources: ProjectionSources;
  private asking: Promise<readonly Lag[]> | null = null;
  /** By partition, the oldest end that was seen and that the fold had not reached. */
  private readonly unreached = new Map<number, Seen>();

  constructor(metrics: Metrics, sources: ProjectionSources) {
    this.sources = sources;
    this.records = metrics.counter('sbp_folded_records_total');
    metrics.gauge('sbp_projection_lag_records', async (gauge) => {
      for (const { partition, records } of await this.lags()) gauge.set({ partition }, records);
    });
    metrics.gauge('sbp_projection_lag_seconds', async (gauge) => {
      for (const { partition, seconds } of await this.lags()) gauge.set({ partition }, seconds);
    });
    metrics.gauge('sbp_sessions_waiting', async (gauge) => gauge.set(await sources.waiting()));
    metrics.gauge('sbp_sessions_quarantined', async (gauge) =>
      gauge.set(await sources.quarantined()),
    );
  }

  folded(records: number): void {
    this.records.inc(records);
  }

  /** Both gauges of one scrape share one look. */
  private lags(): Promise<readonly Lag[]> {
    this.asking ??= this.sources
      .projected()
      .then((all) => all.map((one) => this.lagOf(one, performance.now())))
      .finally(() => (this.asking = null));
    return this.asking;
  }

  /**
   * A record that was there at an earlier scrape, and is not folded now, has waited since then at
   * least: so its age needs no look into the log.
   */
  private lagOf({ partition, end, position }: Projected, now: number): Lag {
    const oldest = this.unreached.get(partition);
    if (position >= end) this.unreached.delete(partition);
    else if (oldest === undefined || position >= oldest.end) {
      this.unreached.set(partition, { end, at: now });
    }
    const since = this.unreached.get(partition)?.at ?? now;
    return { partition, records: Math.max(0, end - position), seconds: (now - since) / 1_000 };
  }
}
