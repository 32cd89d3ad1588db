import type {
  Append,
  AppendOutcome,
  LogPosition,
  LogReader,
  LogRecord,
  LogSubscription,
} from '#libs/event-log';
import { EventLog, LogOverloaded } from '#libs/event-log';
import type { LogMetrics, Tracing } from '#libs/telemetry';

/**
 * The log, with its appends measured. Where traces are on, an event carries the `trace` of its
 * append, so that whoever folds it goes on with that trace.
 */
export class ObservedEventLog extends EventLog {
  constructor(
    private readonly log: EventLog,
    private readonly metrics: LogMetrics,
    private readonly tracing: Tracing,
  ) {
    super();
  }

  override get partitions(): number {
    return this.log.partitions;
  }

  override get description(): string {
    return this.log.description;
  }

  override get outage(): string | null {
    return this.log.outage;
  }

  override outageOf(sessionId: string): string | null {
    return this.log.outageOf(sessionId);
  }

  override partitionOf(sessionId: string): number {
    return this.log.partitionOf(sessionId);
  }

  /** Nothing is awaited before the log has the append: its order is the callers'. */
  override async append(events: Append): Promise<AppendOutcome> {
    const begunAt = performance.now();
    try {
      const outcome = await (this.tracing.isOn ? this.traced(events) : this.log.append(events));
      if (outcome.type === 'appended') this.metrics.appended(performance.now() - begunAt);
      else this.metrics.failed(outcome.reason);
      return outcome;
    } catch (error) {
      this.metrics.failed(error instanceof LogOverloaded ? 'overloaded' : 'error');
      throw error;
    }
  }

  override end(partition: number): Promise<LogPosition['offset']> {
    return this.log.end(partition);
  }

  override subscribe(reader: LogReader): Promise<LogSubscription> {
    return this.log.subscribe(reader);
  }

  override read(partition: number, from: number): AsyncIterable<readonly LogRecord[]> {
    return this.log.read(partition, from);
  }

  override check(): Promise<void> {
    return this.log.check();
  }

  override close(): Promise<void> {
    return this.log.close();
  }

  private traced([first, ...others]: Append): Promise<AppendOutcome> {
    return this.tracing.span('log append', (span) => {
      const trace = this.tracing.traceparent();
      span.set({ 'sbp.session_id': first.session_id, 'sbp.events': 1 + others.length });
      if (trace === null) return this.log.append([first, ...others]);
      return this.log.append([
        { ...first, trace },
        ...others.map((event) => ({ ...event, trace })),
      ]);
    });
  }
}
