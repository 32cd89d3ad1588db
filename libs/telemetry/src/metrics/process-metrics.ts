import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Metrics } from './metrics.js';

/** How often the event loop is looked at, in ms; what is later than that shows. */
const LOOK_MS = 20;
const NS_PER_S = 1e9;

/** What the process itself uses. */
export class ProcessMetrics {
  private readonly delay: ReturnType<typeof monitorEventLoopDelay>;

  constructor(metrics: Metrics) {
    const startedAt = Date.now() / 1_000 - process.uptime();
    metrics.counter('process_cpu_seconds_total', (counter) => {
      const { user, system } = process.cpuUsage();
      counter.inc((user + system) / 1e6);
    });
    metrics.gauge('process_resident_memory_bytes', (gauge) => gauge.set(process.memoryUsage.rss()));
    metrics.gauge('process_start_time_seconds', (gauge) => gauge.set(startedAt));
    metrics.gauge('nodejs_heap_used_bytes', (gauge) => gauge.set(process.memoryUsage().heapUsed));
    this.delay = monitorEventLoopDelay({ resolution: LOOK_MS });
    this.delay.enable();
    metrics.gauge('nodejs_eventloop_delay_seconds', (gauge) => {
      const { delay } = this;
      // Without a sample there is nothing to tell.
      if (delay.count === 0) return;
      const late = (ns: number): number => Math.max(0, ns / NS_PER_S - LOOK_MS / 1_000);
      gauge.set({ quantile: '0.5' }, late(delay.percentile(50)));
      gauge.set({ quantile: '0.99' }, late(delay.percentile(99)));
      gauge.set({ quantile: '1' }, late(delay.max));
      delay.reset();
    });
  }

  close(): void {
    this.delay.disable();
  }
}
