import type { Append, AppendOutcome, LogReader, LogRecord, LogSubscription } from '#libs/event-log';
import { EventLog } from '#libs/event-log';

/** A log whose appends can be delayed or refused, and that can be said to be down. */
export class TestLog extends EventLog {
  /** Runs before each append; it may wait or throw. */
  obstacle: (events: Append) => Promise<void> = () => Promise.resolve();
  /** Whether the log is known to take nothing of a session. */
  isDown: (sessionId: string) => boolean = () => false;

  constructor(private readonly log: EventLog) {
    super();
  }

  override get partitions(): number {
    return this.log.partitions;
  }

  override get description(): string {
    return this.log.description;
  }

  override partitionOf(sessionId: string): number {
    return this.log.partitionOf(sessionId);
  }

  override async append(events: Append): Promise<AppendOutcome> {
    await this.obstacle(events);
    return this.log.append(events);
  }

  override get outage(): string | null {
    return this.log.outage;
  }

  override outageOf(sessionId: string): string | null {
    return this.isDown(sessionId) ? 'a test took it away' : this.log.outageOf(sessionId);
  }

  override end(partition: number): Promise<number> {
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
}
