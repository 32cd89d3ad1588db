import type { JsonObject, Message, SbpResponse } from '#libs/protocol';
import type { TurnRecord } from '#libs/store';

/*
 * A turn as OpenAI's API has it, made from what is stored: for those who read it besides the caller
 * who got the model's own answer.
 */

/** What all chunks of a stream have in common. */
export type ChunkHead = Pick<TurnRecord, 'turnId' | 'startedAt' | 'modelUsed' | 'model'>;

/** One chunk of a stream. */
export function textChunk(turn: ChunkHead, delta: object, finish_reason: string | null) {
  return {
    ...idOf(turn),
    object: 'chat.completion.chunk',
    choices: [{ index: 0, delta, finish_reason }],
  };
}

/** What comes in a stream behind the text, with `sbp`, but for the usage. */
export function lastChunks(
  head: ChunkHead,
  turn: TurnRecord,
  sbp: SbpResponse,
): readonly JsonObject[] {
  const calls = answerOf(turn)?.tool_calls ?? [];
  const last = { ...textChunk(head, {}, finishReason(turn)), sbp };
  if (calls.length === 0) return [last];
  const tool_calls = calls.map((call, index) => ({ index, ...call }));
  return [textChunk(head, { tool_calls }, null), last];
}

export function usageChunk(head: ChunkHead, { usage }: TurnRecord): JsonObject {
  return { ...textChunk(head, {}, null), choices: [], usage };
}

/** A whole answer. */
export function wholeCompletion(turn: TurnRecord, sbp: SbpResponse): JsonObject {
  const message = {
    refusal: null,
    ...answerOf(turn),
    role: 'assistant',
    content: contentOf(turn),
  };
  return {
    ...idOf(turn),
    object: 'chat.completion',
    choices: [{ index: 0, message, logprobs: null, finish_reason: finishReason(turn) }],
    ...(turn.usage === null ? {} : { usage: turn.usage }),
    sbp,
  };
}

/** As the model said it; where that is not known, as it must have been. */
export function finishReason(turn: TurnRecord): string {
  if (turn.finishReason !== null) return turn.finishReason;
  return (answerOf(turn)?.tool_calls ?? []).length > 0 ? 'tool_calls' : 'stop';
}

function idOf(turn: ChunkHead) {
  return {
    id: `chatcmpl-${turn.turnId}`,
    created: Math.floor(Date.parse(turn.startedAt) / 1000),
    model: turn.modelUsed ?? turn.model,
  };
}

function answerOf({ output }: TurnRecord): Message | undefined {
  return output.at(-1);
}

function contentOf(turn: TurnRecord): string | null {
  const { text } = turn;
  return text === '' ? (answerOf(turn)?.content === '' ? '' : null) : text;
}
