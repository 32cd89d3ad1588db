import type { AssistantMessage } from './assistant-message.js';
import { assistantMessage, providerError, textOf } from './assistant-message.js';
import type { JsonObject } from '../json.js';
import { isJsonObject, objectsOf } from '../json.js';
import type { PieceCall } from './tool-call-accumulator.js';
import { ToolCallAccumulator } from './tool-call-accumulator.js';
import { UpstreamBroken } from '../upstream/upstream-errors.js';
import type { Usage } from './usage.js';
import { readUsage } from './usage.js';

/** One `chat.completion.chunk`, as far as it is known: a JSON object. */
export type ChunkJson = JsonObject;

/** What one chunk meant. */
export interface AcceptedChunk {
  /** The text that it adds to choice 0; often empty. */
  readonly delta: string;
  /** It carries a `finish_reason`, of any choice. */
  readonly finished: boolean;
  /** It carries no choice, only usage. */
  readonly usageOnly: boolean;
  /** The pieces of tool calls that it adds to choice 0. */
  readonly calls: readonly PieceCall[];
}

/** An answer longer than this, in characters, could not be stored as one event of the log. */
const MAX_ANSWER_LENGTH = 10 * 1024 * 1024;

/**
 * Reads the `data` of an SSE event of a completion, other than `[DONE]`.
 * Throws `UpstreamBroken` where that is not a JSON object.
 */
export function parseChunk(data: string): ChunkJson {
  let chunk: unknown;
  try {
    chunk = JSON.parse(data);
  } catch (cause) {
    throw new UpstreamBroken('the model sent a chunk that is not JSON', { cause });
  }
  if (!isJsonObject(chunk))
    throw new UpstreamBroken('the model sent a chunk that is not a JSON object');
  return chunk;
}

/**
 * Puts the answer of a streamed completion together, each choice of it, tolerating what providers
 * leave out or add. The answer is choice 0; the others are its alternatives.
 */
export class CompletionAccumulator {
  private firstId: string | null = null;
  private lastModel: string | null = null;
  private foundUsage: Usage | null = null;
  private lastFinishReason: string | null = null;
  private length = 0;
  private readonly first = new ChoiceAccumulator();
  /** By their index. */
  private readonly others = new Map<number, ChoiceAccumulator>();

  /**
   * Takes the next chunk. Throws `UpstreamBroken` for an error of the provider inside the stream,
   * and for a boundless answer.
   */
  accept(chunk: ChunkJson): AcceptedChunk {
    const error = providerError(chunk);
    if (error !== null) throw new UpstreamBroken(error);
    if (this.firstId === null && isName(chunk['id'])) this.firstId = chunk['id'];
    if (isName(chunk['model'])) this.lastModel = chunk['model'];
    const usage = readUsage(chunk['usage']);
    if (usage !== null) this.foundUsage = usage;

    const choices = objectsOf(chunk['choices']);
    let delta = '';
    let finished = false;
    const calls: PieceCall[] = [];
    for (const choice of choices) {
      const reason = choice['finish_reason'];
      if (isName(reason)) finished = true;
      const added = this.choiceOf(choice).add(choice['delta'] ?? choice['message']);
      this.length += added.length;
      if (!isFirst(choice)) continue;
      if (isName(reason)) this.lastFinishReason = reason;
      delta += added.text;
      calls.push(...added.calls);
    }
    if (this.length > MAX_ANSWER_LENGTH) {
      throw new UpstreamBroken(`the model's answer is longer than ${MAX_ANSWER_LENGTH} characters`);
    }
    return { delta, finished, usageOnly: choices.length === 0 && usage !== null, calls };
  }

  /** The answer as far as it has come. */
  message(): AssistantMessage {
    return this.first.message();
  }

  /** The other choices, in the order of their indices. */
  alternatives(): readonly AssistantMessage[] {
    return [...this.others]
      .sort(([one], [other]) => one - other)
      .map(([, choice]) => choice.message());
  }

  /** The text as far as it has come: all deltas, joined. */
  get text(): string {
    return this.first.text;
  }

  /** The last usage that was reported; providers that report more than once report totals. */
  get usage(): Usage | null {
    return this.foundUsage;
  }

  /** The model that the provider says it used. */
  get model(): string | null {
    return this.lastModel;
  }

  get id(): string | null {
    return this.firstId;
  }

  /** Why choice 0 ended; null while it has not. */
  get finishReason(): string | null {
    return this.lastFinishReason;
  }

  private choiceOf(choice: JsonObject): ChoiceAccumulator {
    const index = choice['index'];
    if (isFirst(choice) || typeof index !== 'number') return this.first;
    const known = this.others.get(index) ?? new ChoiceAccumulator();
    this.others.set(index, known);
    return known;
  }
}

/** One choice of an answer, as far as it has come. */
class ChoiceAccumulator {
  text = '';
  private refusal = '';
  private readonly toolCalls = new ToolCallAccumulator();

  /** What a delta adds, and the characters in all. */
  add(delta: unknown): {
    readonly text: string;
    readonly calls: readonly PieceCall[];
    readonly length: number;
  } {
    if (!isJsonObject(delta)) return { text: '', calls: [], length: 0 };
    const text = textOf(delta['content']);
    this.text += text;
    const refusal = typeof delta['refusal'] === 'string' ? delta['refusal'] : '';
    this.refusal += refusal;
    const added = this.toolCalls.accept(delta['tool_calls']);
    return { text, calls: added.calls, length: text.length + refusal.length + added.length };
  }

  message(): AssistantMessage {
    return assistantMessage(this.text, this.toolCalls.calls(), this.refusal);
  }
}

function isFirst(choice: JsonObject): boolean {
  const index = choice['index'];
  return index === undefined || index === null || index === 0;
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
