import type { AssistantMessage } from './assistant-message.js';
import { assistantMessage, providerError, textOf } from './assistant-message.js';
import type { JsonObject } from '../json.js';
import { isJsonObject, objectsOf } from '../json.js';
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
 * Puts the answer of a streamed completion together, choice 0 of it, tolerating what providers
 * leave out or add.
 */
export class CompletionAccumulator {
  private firstId: string | null = null;
  private lastModel: string | null = null;
  private foundUsage: Usage | null = null;
  private lastFinishReason: string | null = null;
  private joined = '';
  private refusal = '';
  private toolCallLength = 0;
  private readonly toolCalls = new ToolCallAccumulator();

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
    for (const choice of choices) {
      const reason = choice['finish_reason'];
      if (isName(reason)) finished = true;
      if (!isFirst(choice)) continue;
      if (isName(reason)) this.lastFinishReason = reason;
      delta += this.add(choice['delta'] ?? choice['message']);
    }
    if (this.joined.length + this.refusal.length + this.toolCallLength > MAX_ANSWER_LENGTH) {
      throw new UpstreamBroken(`the model's answer is longer than ${MAX_ANSWER_LENGTH} characters`);
    }
    return { delta, finished, usageOnly: choices.length === 0 && usage !== null };
  }

  /** The answer as far as it has come. */
  message(): AssistantMessage {
    return assistantMessage(this.joined, this.toolCalls.calls(), this.refusal);
  }

  /** The text as far as it has come: all deltas, joined. */
  get text(): string {
    return this.joined;
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

  private add(delta: unknown): string {
    if (!isJsonObject(delta)) return '';
    const text = textOf(delta['content']);
    this.joined += text;
    if (typeof delta['refusal'] === 'string') this.refusal += delta['refusal'];
    if (delta['tool_calls'] !== undefined)
      this.toolCallLength += this.toolCalls.accept(delta['tool_calls']);
    return text;
  }
}

function isFirst(choice: JsonObject): boolean {
  const index = choice['index'];
  return index === undefined || index === null || index === 0;
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
