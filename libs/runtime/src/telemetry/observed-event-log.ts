import type { Append, AppendOutcome, EventLog } from '#libs/event-log';
import { ForwardingEventLog, LogOverloaded } from '#libs/event-log';
import type { LogMetrics, Tracing } from '#libs/telemetry';

/**
 * The log, with its appends measured. Where traces are on, an event carries the `trace` of its
 * append, so that whoever folds it goes on with that trace.
 */
export class ObservedEventLog extends ForwardingEventLog {
  constructor(
    log: EventLog,
    private readonly metrics: LogMetrics,
    private readonly tracing: Tracing,
  ) {
    super(log);
  }

  /** Nothing is awaited before the log has the append: its order is the callers'. */
  override async append(events: Append): Promise<AppendOutcome> {
    const begunAt = performance.now();
    try {
      const outcome = await (this.tracing.isOn ? this.traced(events) : super.append(events));
      if (outcome.type === 'appended') this.metrics.appended(performance.now() - begunAt);
      else this.metrics.failed(outcome.reason);
      return outcome;
    } catch (error) {
      this.metrics.failed(error instanceof LogOverloaded ? 'overloaded' : 'error');
      throw error;
    }
  }

  private traced([first, ...others]: Append): Promise<AppendOutcome> {
    return this.tracing.span('log append', (span) => {
      const trace = this.tracing.traceparent();
      span.set({ 'sbp.session_id': first.session_id, 'sbp.events': 1 + others.length });
      if (trace === null) return super.append([first, ...others]);
      return super.append([{ ...first, trace }, ...others.map((event) => ({ ...event, trace }))]);
    });
  }
}
