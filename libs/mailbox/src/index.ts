export * from './messages.js';
export * from './ports/mailbox.js';
