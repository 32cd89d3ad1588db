import { SbpProbe } from '#libs/protocol';
import type { Agent } from './agent.js';

/**
 * A conversation that each client has in its own way with the strict model: two rounds of tools for
 * one question, two calls at once in the first of them, and a question behind it.
 */
export const TOOL_LOOP = {
  question: 'call: look-1 look-2; note-1',
  answer: 'I was sent 6 messages.',
  thanks: 'Thanks.',
  farewell: 'I was sent 8 messages.',
} as const;

/** What the tools of the loop, `look` and `note`, give back for their argument `call`. */
export function toolResult({ call }: { readonly call: string }): string {
  return `${call} is done`;
}

/** What the session must hold of it: each message once. */
export const STORED_TOOL_LOOP = [
  `user: ${TOOL_LOOP.question}`,
  'assistant calls look-1 look-2',
  'tool look-1: look-1 is done',
  'tool look-2: look-2 is done',
  'assistant calls note-1',
  'tool note-1: note-1 is done',
  `assistant: ${TOOL_LOOP.answer}`,
  `user: ${TOOL_LOOP.thanks}`,
  `assistant: ${TOOL_LOOP.farewell}`,
];

/** A conversation without tools, below an instruction that is sent each time. */
export const TALK = { system: 'Be brief.', questions: ['One.', 'Two.', 'Three.'] };

/** What the session must hold of it: instructions stand apart. */
export const STORED_TALK = TALK.questions.flatMap((question, at) => [
  `user: ${question}`,
  `assistant: I was sent ${2 * at + 2} messages.`,
]);

/** The conversation of an agent's live session, a line for each message. */
export async function conversationOf(agent: Agent): Promise<readonly string[]> {
  const { json } = await agent.post({ model: 'strict', messages: [], sbp: {} });
  const { session_id } = SbpProbe.parse((json as { readonly sbp: unknown }).sbp);
  return (await agent.messages(session_id)).map(({ role, content, tool_calls, tool_call_id }) => {
    const calls = (tool_calls as readonly { readonly id: string }[] | null | undefined) ?? [];
    if (calls.length > 0) return `${role} calls ${calls.map(({ id }) => id).join(' ')}`;
    const name = role === 'tool' ? `tool ${String(tool_call_id)}` : role;
    return `${name}: ${String(content)}`;
  });
}
