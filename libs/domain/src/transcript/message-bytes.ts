import type { Message } from '#libs/protocol';

/** Bytes of messages as JSON, without what stands between them. */
export function messageBytes(messages: readonly Message[]): number {
  return messages.reduce((sum, message) => sum + Buffer.byteLength(JSON.stringify(message)), 0);
}
