import type { MailboxMessage } from '#libs/mailbox';
import { Injectable } from '@nestjs/common';

/** Tells whoever waits here that something of a session has changed; a poke may be lost [A8]. */
@Injectable()
export class SessionPokes {
  private readonly listeners = new Map<string, Set<() => void>>();

  /** A message of this process' mailbox; those of other kinds are somebody else's. */
  accept(message: MailboxMessage): void {
    if (message.type !== 'poke') return;
    for (const listener of this.listeners.get(message.session_id) ?? []) listener();
  }

  /** Gives what ends the listening. */
  listen(sessionId: string, listener: () => void): () => void {
    const listeners = this.listeners.get(sessionId) ?? new Set();
    this.listeners.set(sessionId, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.listeners.delete(sessionId);
    };
  }
}
