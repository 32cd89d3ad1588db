import type { Message } from '#libs/protocol';

export function isSystem(message: Message): boolean {
  return message.role === 'system' || message.role === 'developer';
}

/** Whether it came of a user's message, and is none. */
export function isAnswer(message: Message): boolean {
  return message.role === 'assistant' || message.role === 'tool' || message.role === 'function';
}

/** The ids of the tool calls that a message makes; a call without an id has none. */
export function callIds(message: Message): readonly string[] {
  return (message.tool_calls ?? []).flatMap(({ id }) => (typeof id === 'string' ? [id] : []));
}

/**
 * Equal for messages that count as the same: by role and normalised content, a tool's message by
 * the call that it answers, an assistant's that calls tools by the ids of its calls, because
 * clients write the rest of those anew.
 */
export function messageKey(message: Message): string {
  if (message.role === 'tool') return `tool ${message.tool_call_id ?? ''}`;
  const calls = callIds(message);
  if (message.role === 'assistant' && calls.length > 0) return `calls ${JSON.stringify(calls)}`;
  return `${message.role} ${normalisedContent(message)}`;
}

export function sameMessages(left: readonly Message[], right: readonly Message[]): boolean {
  return (
    left.length === right.length &&
    left.every((message, index) => {
      const other = right[index];
      return other !== undefined && messageKey(message) === messageKey(other);
    })
  );
}

/**
 * A string equals one text part; null equals absent and empty; white space at the end of an
 * assistant's text does not count.
 */
function normalisedContent({ content, role }: Message): string {
  const parts = typeof content === 'string' ? [{ type: 'text', text: content }] : (content ?? []);
  const trimmed =
    role === 'assistant'
      ? parts.map((part, index) => (index === parts.length - 1 ? withoutEndSpace(part) : part))
      : parts;
  const [only] = trimmed;
  const isEmpty = trimmed.length === 1 && only?.type === 'text' && only['text'] === '';
  return isEmpty ? '[]' : JSON.stringify(trimmed, sortedKeys);
}

type Part = Record<string, unknown> & { readonly type: string };

function withoutEndSpace(part: Part): Part {
  const { type, text } = part as Part & { readonly text?: unknown };
  return type === 'text' && typeof text === 'string' ? { ...part, text: text.trimEnd() } : part;
}

function sortedKeys(_key: string, value: unknown): unknown {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
