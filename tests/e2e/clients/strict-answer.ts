import { randomUUID } from 'node:crypto';
import type { Message } from '#libs/protocol';

/** A request as the strict model reads it. */
export interface StrictRequest {
  readonly messages: readonly Message[];
  readonly max_tokens?: number | null;
  readonly tool_choice?: unknown;
  readonly stream?: boolean | null;
  readonly stream_options?: { readonly include_usage?: boolean } | null;
  readonly tools?: readonly { readonly function: { readonly name: string } }[];
  readonly response_format?: {
    readonly type: string;
    readonly json_schema?: { readonly name?: string; readonly schema: ObjectSchema };
  };
}

interface ObjectSchema {
  readonly properties: Readonly<Record<string, { readonly type: string }>>;
  readonly additionalProperties?: boolean;
}

export type StrictAnswer =
  | { readonly type: 'say'; readonly text: string }
  | { readonly type: 'call'; readonly ids: readonly string[] };

/** What the model does with a request that it takes. */
export type StrictDeed =
  | StrictAnswer
  | { readonly type: 'refuse'; readonly status: number; readonly message: string }
  | { readonly type: 'break' }
  | { readonly type: 'never' };

/**
 * What the last user message asks of it:
 *
 * - `call: a-1 b; c` calls the tools `a` and `b`, and when these are answered `c`. The word is the
 *   call's id; its tool's name is what stands before the `-`. `invent: a-1` does so though no such
 *   tool is offered.
 * - `refuse: 429` answers with that status, `break: off` drops the connection, and `never: answer`
 *   keeps the caller waiting.
 * - Anything else is answered by how many messages there were, as JSON where a schema asks for it.
 */
export function deedFor({ messages, tools, response_format }: StrictRequest): StrictDeed {
  const asked = messages.findLastIndex(({ role }) => role === 'user');
  const [verb = '', words = ''] = textIn(messages[asked]).split(': ', 2);
  if (verb === 'refuse') return { type: 'refuse', status: Number(words), message: 'As asked.' };
  if (verb === 'break' || verb === 'never') return { type: verb };
  const rounds = messages.slice(asked + 1).filter((message) => message.tool_calls).length;
  const calls = verb === 'call' || verb === 'invent';
  const ids = calls ? words.split('; ')[rounds]?.split(' ') : undefined;
  if (ids === undefined) {
    const schema = response_format?.json_schema?.schema;
    return { type: 'say', text: said(messages.length, schema) };
  }
  const offered = (tools ?? []).map((tool) => tool.function.name);
  const missing = ids.map(toolOf).find((name) => !offered.includes(name));
  if (missing === undefined || verb === 'invent') return { type: 'call', ids };
  return { type: 'refuse', status: 400, message: `There is no tool ${missing}.` };
}

/** A whole answer. */
export function completionOf(answer: StrictAnswer): object {
  const message = {
    role: 'assistant',
    content: answer.type === 'say' ? answer.text : null,
    refusal: null,
    ...(answer.type === 'say' ? {} : { tool_calls: answer.ids.map(callOf) }),
  };
  const finish_reason = finishOf(answer);
  const choices = [{ index: 0, message, logprobs: null, finish_reason }];
  return { ...head('chat.completion'), choices, usage: USAGE };
}

/** The same answer as the events of a stream: words one by one, arguments of calls in pieces. */
export function streamOf(answer: StrictAnswer, includeUsage: boolean): string {
  const shared = head('chat.completion.chunk');
  const choice = (delta: object, finish_reason: string | null) => ({
    ...shared,
    choices: [{ index: 0, delta, logprobs: null, finish_reason }],
    ...(includeUsage ? { usage: null } : {}),
  });
  const content = answer.type === 'say' ? '' : null;
  const chunks = [
    choice({ role: 'assistant', content, refusal: null }, null),
    ...deltasOf(answer).map((delta) => choice(delta, null)),
    choice({}, finishOf(answer)),
    ...(includeUsage ? [{ ...shared, choices: [], usage: USAGE }] : []),
  ];
  const events = [...chunks.map((chunk) => JSON.stringify(chunk)), '[DONE]'];
  return events.map((data) => `data: ${data}\n\n`).join('');
}

const USAGE = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };

function head(object: string): object {
  return { id: `chatcmpl-${randomUUID()}`, object, created: 1, model: 'strict' };
}

function deltasOf(answer: StrictAnswer): readonly object[] {
  if (answer.type === 'say') {
    return (answer.text.match(/\s*\S+/g) ?? []).map((content) => ({ content }));
  }
  return answer.ids.map(callOf).flatMap(({ function: called, ...call }, index) => {
    const piece = (text: string) => ({ tool_calls: [{ index, function: { arguments: text } }] });
    return [
      { tool_calls: [{ index, ...call, function: { ...called, arguments: '' } }] },
      piece(called.arguments.slice(0, 3)),
      piece(called.arguments.slice(3)),
    ];
  });
}

/** A call whose arguments tell its id, so that a test sees that they arrived. */
function callOf(id: string) {
  const called = { name: toolOf(id), arguments: JSON.stringify({ call: id }) };
  return { id, type: 'function', function: called };
}

function toolOf(id: string): string {
  return id.split('-', 1)[0] ?? '';
}

function finishOf({ type }: StrictAnswer): string {
  return type === 'say' ? 'stop' : 'tool_calls';
}

function said(messages: number, schema: ObjectSchema | undefined): string {
  const text = `I was sent ${messages} messages.`;
  if (schema === undefined) return text;
  const fields = Object.entries(schema.properties).map(([name, { type }]) => [
    name,
    type === 'string' ? text : messages,
  ]);
  return JSON.stringify(Object.fromEntries(fields));
}

function textIn(message: Message | undefined): string {
  const content = message?.content ?? '';
  if (typeof content === 'string') return content;
  return content.map(({ text }) => (typeof text === 'string' ? text : '')).join('');
}
