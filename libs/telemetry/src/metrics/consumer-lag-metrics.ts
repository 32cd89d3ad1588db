import type { Metrics } from './metrics.js';

/** Where a consumer of the log stands in one partition. */
export interface Standing {
  readonly consumer: string;
  readonly partition: number;
  /** The offset after the log's last record, and after the last one that the consumer has read. */
  readonly end: number;
  readonly position: number;
}

interface Lag {
  readonly labels: { readonly consumer: string; readonly partition: number };
  readonly records: number;
  readonly seconds: number;
}

/** A log's end that a scrape saw, and when. */
interface Seen {
  readonly end: number;
  readonly at: number;
}

/** How far the consumers of the log are behind it. `standings` is asked at scrapes only. */
export class ConsumerLagMetrics {
  private asking: Promise<readonly Lag[]> | null = null;
  /** By consumer and partition, the oldest end that was seen and that was not reached. */
  private readonly unreached = new Map<string, Seen>();

  constructor(
    metrics: Metrics,
    private readonly standings: () => Promise<readonly Standing[]>,
  ) {
    metrics.gauge('sbp_consumer_lag_records', async (gauge) => {
      for (const { labels, records } of await this.lags()) gauge.set(labels, records);
    });
    metrics.gauge('sbp_consumer_lag_seconds', async (gauge) => {
      for (const { labels, seconds } of await this.lags()) gauge.set(labels, seconds);
    });
  }

  /** Both gauges of one scrape share one look. */
  private lags(): Promise<readonly Lag[]> {
    this.asking ??= this.standings()
      .then((all) => all.map((one) => this.lagOf(one, performance.now())))
      .finally(() => (this.asking = null));
    return this.asking;
  }

  /**
   * A record that was there at an earlier scrape, and is not read now, has waited since then at
   * least: so its age needs no look into the log.
   */
  private lagOf({ consumer, partition, end, position }: Standing, now: number): Lag {
    const key = `${consumer} ${partition}`;
    const oldest = this.unreached.get(key);
    if (position >= end) this.unreached.delete(key);
    else if (oldest === undefined || position >= oldest.end) {
      this.unreached.set(key, { end, at: now });
    }
    const since = this.unreached.get(key)?.at ?? now;
    return {
      labels: { consumer, partition },
      records: Math.max(0, end - position),
      seconds: (now - since) / 1_000,
    };
  }
}
