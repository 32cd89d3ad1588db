import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { CounterName, GaugeName, HistogramName, LabelOf } from './metric-table.js';
import { METRICS } from './metric-table.js';

/** Asked at each scrape for what a gauge shows; what it throws leaves the gauge without a value. */
type Collect<T> = (gauge: T) => void | Promise<void>;

interface Resettable {
  /** To 0 where it has no labels, else to no value. */
  reset(): void;
  /** Without labels: the one value that it has. */
  remove(): void;
}

/** The metrics of one process, by the names of the table; each is made once. */
export class Metrics {
  readonly contentType: string;
  private readonly registry = new Registry();
  private scraping: Promise<string> | null = null;

  constructor() {
    this.contentType = this.registry.contentType;
  }

  counter<N extends CounterName>(
    name: N,
    collect?: Collect<Counter<LabelOf<N>>>,
  ): Counter<LabelOf<N>> {
    return new Counter({ ...this.configuration(name), ...collected(collect) });
  }

  gauge<N extends GaugeName>(name: N, collect?: Collect<Gauge<LabelOf<N>>>): Gauge<LabelOf<N>> {
    return new Gauge({ ...this.configuration(name), ...collected(collect) });
  }

  histogram<N extends HistogramName>(name: N): Histogram<LabelOf<N>> {
    return new Histogram({ ...this.configuration(name), buckets: [...METRICS[name].buckets] });
  }

  /** All of them, as Prometheus reads them. Scrapes that come at once share one. */
  text(): Promise<string> {
    this.scraping ??= this.registry.metrics().finally(() => (this.scraping = null));
    return this.scraping;
  }

  private configuration<N extends CounterName | GaugeName | HistogramName>(name: N) {
    const { help, labels } = METRICS[name];
    const labelNames = [...labels] as LabelOf<N>[];
    return { name, help, labelNames, registers: [this.registry] };
  }
}

/** Prometheus's client calls it with the metric as `this`. */
function collected<T extends Resettable>(collect: Collect<T> | undefined) {
  if (collect === undefined) return {};
  return {
    async collect(this: T): Promise<void> {
      this.reset();
      try {
        await collect(this);
      } catch {
        // Its absence is what is shown: the other metrics must not be lost with it.
        this.remove();
      }
    },
  };
}
