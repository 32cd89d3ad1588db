export { MailboxMessage } from './messages.js';
export type { MailboxMessageOf } from './messages.js';
export { Mailbox, MAX_WAITING } from './ports/mailbox.js';
export type { Inbox } from './ports/mailbox.js';
export { InProcessMailbox } from './adapters/in-process-mailbox.js';
