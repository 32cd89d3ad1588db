import type { ProcessAddress } from '#libs/protocol';
import type { MailboxMessage } from '../messages.js';

export interface Inbox {
  /** Stops receiving. */
  close(): Promise<void>;
}

/**
 * Live messages between processes; nothing that matters if lost [A8].
 *
 * A message reaches at most the one incarnation that it names; a slot's later holders never see it.
 * Messages of one sender to one address arrive in order or not at all; a repeat is possible. `send`
 * never rejects: it resolves when the message was handed over or lost, so that a sender can merge
 * what waits meanwhile into its next message. Bound: `MAX_WAITING` messages wait to be sent, past
 * which the newest are dropped.
 */
export abstract class Mailbox {
  abstract send(to: ProcessAddress, message: MailboxMessage): Promise<void>;
  /** Resolves when messages sent from now on are received. The handler must return at once. */
  abstract receive(
    address: ProcessAddress,
    handler: (message: MailboxMessage) => void,
  ): Promise<Inbox>;
  abstract close(): Promise<void>;
}

export const MAX_WAITING = 10_000;
