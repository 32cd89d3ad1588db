import type { MailboxMessage } from '#libs/mailbox';
import { Injectable } from '@nestjs/common';

/** How many sessions are remembered; of the others the next scan finds what has changed. */
const MOST = 1_000;

/**
 * The last sessions whose turn this process has parked: a poke of one may mean that its turn waits
 * no more, and need not wait for the next scan [A19].
 */
@Injectable()
export class ParkedTurns {
  private readonly sessions = new Set<string>();
  private listener: () => void = () => undefined;

  onPoked(listener: () => void): void {
    this.listener = listener;
  }

  add(sessionId: string): void {
    this.sessions.add(sessionId);
    const [oldest] = this.sessions;
    if (this.sessions.size > MOST && oldest !== undefined) this.sessions.delete(oldest);
  }

  /** A message of this process' mailbox; those of other kinds are somebody else's. */
  accept(message: MailboxMessage): void {
    if (message.type === 'poke' && this.sessions.delete(message.session_id)) this.listener();
  }
}
