import { Children } from './children.js';
import type { Metrics } from './metrics.js';

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
/** The route of a path that nothing serves. */
const NO_ROUTE = 'none';

/** HTTP requests of a process, by the pattern of their route. */
export class HttpMetrics {
  private readonly requests;
  private readonly durations;
  private running = 0;

  constructor(metrics: Metrics) {
    const requests = metrics.counter('sbp_http_requests_total');
    this.requests = new Children((route, ...values) =>
      requests.labels(templateOf(route), ...values),
    );
    const durations = metrics.histogram('sbp_http_request_duration_seconds');
    this.durations = new Children((route) => durations.labels(templateOf(route)));
    metrics.gauge('sbp_http_requests_in_flight', (gauge) => gauge.set(this.running));
  }

  begun(): void {
    this.running += 1;
  }

  /**
   * `route`: its pattern, as the router has it; undefined where no route fits. `status`: of the
   * answer.
   */
  ended(route: string | undefined, method: string, status: number, ms: number): void {
    this.running -= 1;
    const pattern = route ?? NO_ROUTE;
    const known = METHODS.has(method) ? method : 'other';
    this.requests.of(pattern, known, `${Math.floor(status / 100)}xx`).inc();
    this.durations.of(pattern).observe(ms / 1_000);
  }
}

/** As the route table writes it: `{session_id}` for `:session_id`. */
function templateOf(route = NO_ROUTE): string {
  return route.replaceAll(/:(\w+)/g, '{$1}').replace(/\*$/, '{*path}');
}
