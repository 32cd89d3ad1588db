import type { Message } from '#libs/protocol';
import { callIds } from './message-key.js';

/** Messages as a model takes them. */
export interface SentMessages {
  /** In order: the place of a message that is sent as it stands, or what is sent instead of one. */
  readonly sent: readonly (number | Message)[];
  /**
   * Where the last message stands whose calls may still be answered by what follows; the number of
   * messages where there is none.
   */
  readonly openFrom: number;
  /** How much of `sent` stands before that one: it does not change any more. */
  readonly settled: number;
}

interface Caller {
  readonly place: number;
  /** Its place in what is sent. */
  readonly sentAt: number;
  /** Where the next answer to it goes. */
  answersAt: number;
  readonly missing: Set<string>;
}

/**
 * Leaves out what a model would refuse: tool calls that were not answered before an assistant went
 * on, or before the last user did, and answers without their call. What a user said between a call
 * and its answers (a turn that failed) is sent behind the answers. `stored`: the first so many
 * messages are; an answer among the others stays, for its sender must be told that it answers none.
 */
export function sentMessages(messages: readonly Message[], stored: number): SentMessages {
  const sent: (number | Message | null)[] = [];
  let caller: Caller | null = null;
  for (const [place, message] of messages.entries()) {
    if (message.role === 'tool') {
      if (caller?.missing.delete(message.tool_call_id ?? '') === true) {
        sent.splice(caller.answersAt++, 0, place);
      } else if (place >= stored) {
        sent.push(place);
      }
      continue;
    }
    if (message.role === 'assistant') settle(sent, messages, caller);
    sent.push(place);
    const ids = message.role === 'assistant' ? callIds(message) : [];
    if (message.role === 'assistant') {
      const sentAt = sent.length - 1;
      caller = { place, sentAt, answersAt: sentAt + 1, missing: new Set(ids) };
    }
  }
  // Where nothing follows them they may still be answered.
  if (caller !== null && sent.length > caller.answersAt) settle(sent, messages, caller);
  const open = caller !== null && caller.missing.size > 0 ? caller : null;
  const isSent = (each: number | Message | null) => each !== null;
  return {
    sent: sent.filter(isSent),
    openFrom: open?.place ?? messages.length,
    settled: sent.slice(0, open?.sentAt).filter(isSent).length,
  };
}

/** Whether tool calls, or answers to them, are among the messages. */
export function usesTools(messages: readonly Message[]): boolean {
  return messages.some((message) => message.role === 'tool' || callIds(message).length > 0);
}

/** Takes the calls that were not answered out of their message. */
function settle(
  sent: (number | Message | null)[],
  messages: readonly Message[],
  caller: Caller | null,
): void {
  if (caller === null || caller.missing.size === 0) return;
  const calling = messages[caller.place];
  if (calling !== undefined) sent[caller.sentAt] = withoutCalls(calling, caller.missing);
}

function withoutCalls(message: Message, missing: ReadonlySet<string>): Message | null {
  const { tool_calls: calls, ...rest } = message;
  const answered = (calls ?? []).filter(({ id }) => typeof id !== 'string' || !missing.has(id));
  if (answered.length > 0) return { ...rest, tool_calls: answered };
  const { content } = rest;
  return content === undefined || content === null || content.length === 0 ? null : rest;
}
