import type { MailboxMessage } from '#libs/mailbox';
import { SessionPokes } from '#libs/tools';
import { Injectable } from '@nestjs/common';
import { SurfaceRegistry } from './surface-registry.js';

/**
 * What a gateway does with its mailbox. The inbox is the process's: whoever holds it passes all
 * messages here.
 */
@Injectable()
export class SurfaceInbox {
  constructor(
    private readonly registry: SurfaceRegistry,
    private readonly pokes: SessionPokes,
  ) {}

  /** Returns at once; messages for others are passed over. */
  accept(message: MailboxMessage): void {
    this.pokes.accept(message);
    switch (message.type) {
      case 'poke':
        for (const sync of this.registry.ofSession(message.session_id)) sync.ask();
        return;
      case 'live':
        this.registry.ofAttachment({ attachId: message.attach_id })?.accept(message);
        return;
      // For runners of turns.
      case 'watch':
      case 'stop':
      case 'stopped':
    }
  }
}
