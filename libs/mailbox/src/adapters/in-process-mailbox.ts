import type { ProcessAddress } from '#libs/protocol';
import type { MailboxMessage } from '../messages.js';
import { MAX_WAITING, Mailbox } from '../ports/mailbox.js';
import type { Inbox } from '../ports/mailbox.js';

interface Letter {
  readonly to: string;
  readonly message: MailboxMessage;
  readonly delivered: () => void;
}

/**
 * For senders and receivers in one process. A message is handed over in a later turn of the event
 * loop, never within `send`.
 */
export class InProcessMailbox extends Mailbox {
  private readonly handlers = new Map<string, (message: MailboxMessage) => void>();
  private waiting: Letter[] = [];

  constructor(private readonly onProblem: (problem: string, error?: unknown) => void) {
    super();
  }

  send(to: ProcessAddress, message: MailboxMessage): Promise<void> {
    if (this.waiting.length >= MAX_WAITING) return Promise.resolve();
    if (this.waiting.length === 0) setImmediate(() => this.deliver());
    return new Promise((delivered) => this.waiting.push({ to: nameOf(to), message, delivered }));
  }

  receive(address: ProcessAddress, handler: (message: MailboxMessage) => void): Promise<Inbox> {
    const name = nameOf(address);
    this.handlers.set(name, handler);
    return Promise.resolve({
      close: () => {
        if (this.handlers.get(name) === handler) this.handlers.delete(name);
        return Promise.resolve();
      },
    });
  }

  close(): Promise<void> {
    this.handlers.clear();
    return Promise.resolve();
  }

  private deliver(): void {
    const letters = this.waiting;
    this.waiting = [];
    for (const { to, message, delivered } of letters) {
      try {
        this.handlers.get(to)?.(message);
      } catch (error) {
        this.onProblem(`a handler threw at a ${message.type} message`, error);
      }
      delivered();
    }
  }
}

function nameOf({ slot, incarnation }: ProcessAddress): string {
  return `${slot}/${incarnation}`;
}
