import type { JsonObject } from '../json.js';
import { isJsonObject } from '../json.js';

/** A call of a tool that the model asks for. */
export type AssistantToolCall = FunctionCall | OtherCall;

export interface FunctionCall {
  readonly id: string;
  readonly type: string;
  readonly function: {
    readonly name: string;
    /** JSON, as the model wrote it: it may be malformed. */
    readonly arguments: string;
  };
}

/**
 * A call of what is no function, for example of a `custom` tool: what is called stands in a field
 * that has the name of the type, as the model wrote it.
 */
type OtherCall = JsonObject & {
  readonly id: string;
  readonly type: string;
  readonly function?: never;
};

/** What the model said, in the form in which it goes back upstream as part of the transcript. */
export interface AssistantMessage {
  readonly role: 'assistant';
  /** Null only where there are tool calls or a refusal instead. */
  readonly content: string | null;
  readonly tool_calls?: readonly AssistantToolCall[];
  readonly refusal?: string;
}

/** Builds a message without empty fields, which some providers refuse when they get them back. */
export function assistantMessage(
  text: string,
  toolCalls: readonly AssistantToolCall[],
  refusal: string,
): AssistantMessage {
  const bare = text === '' && (toolCalls.length > 0 || refusal !== '');
  return {
    role: 'assistant',
    content: bare ? null : text,
    ...(toolCalls.length > 0 ? { tool_calls: toolCalls } : {}),
    ...(refusal !== '' ? { refusal } : {}),
  };
}

/** The text of a `content`: a string, or the text parts of a list, which some providers send. */
export function textOf(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  let text = '';
  for (const part of content) {
    if (isJsonObject(part) && typeof part['text'] === 'string') text += part['text'];
  }
  return text;
}

/** The message of an error that a provider sent inside an answer; null where there is none. */
export function providerError(body: JsonObject): string | null {
  const error = body['error'];
  if (error === undefined || error === null || error === false) return null;
  if (typeof error === 'string') return error;
  if (isJsonObject(error) && typeof error['message'] === 'string') return error['message'];
  return JSON.stringify(error);
}
