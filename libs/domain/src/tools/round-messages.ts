import type { JsonObject, Message, ToolOutcome } from '#libs/protocol';
import { resultContent } from './result-content.js';

/** A round whose calls have all returned, as it is stored. */
export interface ReturnedRound {
  /** What the model said, with these calls. */
  readonly message: Message;
  readonly showsImages: boolean;
  /** In the order of the calls. */
  readonly calls: readonly ReturnedCall[];
}

export interface ReturnedCall {
  /** As the surface knows it. */
  readonly toolName: string;
  /** Why it was not sent; null where it was. */
  readonly refusal: string | null;
  readonly outcome: ToolOutcome;
  readonly result: unknown;
  /** Of an `error`, or why it was `denied`. */
  readonly error: string | null;
}

/**
 * The messages that a round adds to the conversation: what the model said, an answer to each call,
 * and then the images among the answers, because models take none in the answer of a tool. How many
 * these are is in the log: for the same round they must stay the same.
 */
export function roundMessages({ message, calls, showsImages }: ReturnedRound): readonly Message[] {
  const images: JsonObject[] = [];
  const answers = calls.map((call, at): Message => {
    const told = answerTo(call, showsImages);
    images.push(...told.images);
    return { role: 'tool', tool_call_id: callIdAt(message, at), content: told.text };
  });
  return [message, ...answers, ...(images.length === 0 ? [] : [shown(images)])];
}

function answerTo(
  call: ReturnedCall,
  showsImages: boolean,
): { readonly text: string; readonly images: readonly JsonObject[] } {
  const error = call.refusal ?? failureOf(call);
  return error === null
    ? resultContent(call.toolName, call.result, showsImages)
    : { text: JSON.stringify({ error }), images: [] };
}

/** The error of a result that does not fit in the log, or in its round. */
export const TOO_LARGE = 'The result is too large.';

/** Why nothing came of a call, as whoever made it is told; null of a result. */
export function failureOf({
  outcome,
  error,
}: Pick<ReturnedCall, 'outcome' | 'error'>): string | null {
  switch (outcome) {
    case 'result':
      return null;
    case 'error':
      return error ?? 'The tool failed.';
    case 'timeout':
      return 'timeout';
    case 'denied':
      return error === null ? 'denied' : `denied: ${error}`;
    case 'cancelled':
      return 'cancelled: the device that has the tool went away';
  }
}

function callIdAt({ tool_calls: calls }: Message, at: number): string {
  const id = calls?.[at]?.['id'];
  return typeof id === 'string' ? id : '';
}

function shown(images: readonly JsonObject[]): Message {
  const text = 'The images that the tools have returned, in their order:';
  const parts = images.map((image) => ({ type: 'image_url', image_url: image }));
  return { role: 'user', content: [{ type: 'text', text }, ...parts] };
}
