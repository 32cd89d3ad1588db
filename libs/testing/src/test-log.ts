import type { Append, AppendOutcome } from '#libs/event-log';
import { ForwardingEventLog } from '#libs/event-log';

/** A log whose appends can be delayed or refused, and that can be said to be down. */
export class TestLog extends ForwardingEventLog {
  /** Runs before each append; it may wait or throw. */
  obstacle: (events: Append) => Promise<void> = () => Promise.resolve();
  /** Whether the log is known to take nothing of a session. */
  isDown: (sessionId: string) => boolean = () => false;

  override async append(events: Append): Promise<AppendOutcome> {
    await this.obstacle(events);
    return super.append(events);
  }

  override outageOf(sessionId: string): string | null {
    return this.isDown(sessionId) ? 'a test took it away' : super.outageOf(sessionId);
  }
}
