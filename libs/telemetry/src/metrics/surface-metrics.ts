import type { Metrics } from './metrics.js';

/** The surfaces that a process holds. */
export class SurfaceMetrics {
  private readonly attaches;
  private readonly depth;
  private readonly turns;
  private readonly takeovers;
  private readonly ignored;

  constructor(private readonly metrics: Metrics) {
    this.attaches = metrics.counter('sbp_surface_attaches_total');
    this.depth = metrics.histogram('sbp_tether_depth_turns');
    this.turns = metrics.counter('sbp_tether_turns_total');
    this.takeovers = metrics.counter('sbp_surface_takeovers_total');
    this.ignored = metrics.counter('sbp_surface_ignored_frames_total');
  }

  /** Asked at each scrape. */
  holds(sockets: () => number, attached: () => number): void {
    this.metrics.gauge('sbp_surface_sockets', (gauge) => gauge.set(sockets()));
    this.metrics.gauge('sbp_surfaces_attached', (gauge) => gauge.set(attached()));
  }

  /** `owed`: turns that its Tether holds. */
  attached(owed: number): void {
    this.attaches.inc();
    this.depth.observe(owed);
  }

  /** One turn of its Tether was written to a surface. */
  drained(): void {
    this.turns.inc();
  }

  takenOver(): void {
    this.takeovers.inc();
  }

  ignoredFrame(): void {
    this.ignored.inc();
  }
}
