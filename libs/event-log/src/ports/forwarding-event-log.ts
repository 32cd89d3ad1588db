import type { Append, AppendOutcome, LogReader, LogRecord, LogSubscription } from './event-log.js';
import { EventLog } from './event-log.js';

/** A log that is another one in all but what a subclass changes. */
export class ForwardingEventLog extends EventLog {
  constructor(protected readonly inner: EventLog) {
    super();
  }

  override get partitions(): number {
    return this.inner.partitions;
  }

  override get description(): string {
    return this.inner.description;
  }

  override get outage(): string | null {
    return this.inner.outage;
  }

  override outageOf(sessionId: string): string | null {
    return this.inner.outageOf(sessionId);
  }

  override partitionOf(sessionId: string): number {
    return this.inner.partitionOf(sessionId);
  }

  override append(events: Append): Promise<AppendOutcome> {
    return this.inner.append(events);
  }

  override end(partition: number): Promise<number> {
    return this.inner.end(partition);
  }

  override subscribe(reader: LogReader): Promise<LogSubscription> {
    return this.inner.subscribe(reader);
  }

  override read(partition: number, from: number): AsyncIterable<readonly LogRecord[]> {
    return this.inner.read(partition, from);
  }

  override check(): Promise<void> {
    return this.inner.check();
  }

  override close(): Promise<void> {
    return this.inner.close();
  }
}
