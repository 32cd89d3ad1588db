import type { Message } from '#libs/protocol';
import { callIds } from './message-key.js';

/** What must be done to messages before a model takes them. */
export interface DanglingCalls {
  /** By place: the message without the calls that nobody answered; null where nothing is left. */
  readonly replaced: ReadonlyMap<number, Message | null>;
  /**
   * Where the last message stands whose calls may still be answered by what follows; the number of
   * messages where there is none. What stands before it does not change any more.
   */
  readonly openFrom: number;
}

/**
 * Finds the tool calls that were not answered before the conversation went on: a model refuses a
 * conversation that holds some. A call is answered only by the tool messages directly behind its
 * message.
 */
export function danglingCalls(messages: readonly Message[]): DanglingCalls {
  const replaced = new Map<number, Message | null>();
  let caller = { place: 0, missing: new Set<string>() };
  for (const [place, message] of messages.entries()) {
    if (message.role === 'tool') {
      caller.missing.delete(message.tool_call_id ?? '');
      continue;
    }
    const { missing } = caller;
    const calling = messages[caller.place];
    if (missing.size > 0 && calling !== undefined) {
      replaced.set(caller.place, withoutCalls(calling, missing));
    }
    caller = { place, missing: new Set(message.role === 'assistant' ? callIds(message) : []) };
  }
  return { replaced, openFrom: caller.missing.size > 0 ? caller.place : messages.length };
}

/** Whether tool calls, or answers to them, are among the messages. */
export function usesTools(messages: readonly Message[]): boolean {
  return messages.some((message) => message.role === 'tool' || callIds(message).length > 0);
}

function withoutCalls(message: Message, missing: ReadonlySet<string>): Message | null {
  const { tool_calls: calls, ...rest } = message;
  const answered = (calls ?? []).filter(({ id }) => typeof id !== 'string' || !missing.has(id));
  if (answered.length > 0) return { ...rest, tool_calls: answered };
  const { content } = rest;
  return content === undefined || content === null || content.length === 0 ? null : rest;
}
