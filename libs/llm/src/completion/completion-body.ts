import type { AssistantMessage } from './assistant-message.js';
import { providerError } from './assistant-message.js';
import { CompletionAccumulator } from './completion-stream.js';
import { isJsonObject } from '../json.js';
import { UpstreamBroken } from '../upstream/upstream-errors.js';
import type { Usage } from './usage.js';

/** A whole answer. */
export interface Completion {
  readonly message: AssistantMessage;
  /** The choices besides choice 0. */
  readonly alternatives: readonly AssistantMessage[];
  readonly usage: Usage | null;
  /** The model that the provider says it used. */
  readonly model: string | null;
  readonly id: string | null;
  readonly finishReason: string | null;
}

/**
 * Reads the body of a completion that was not streamed; its message is choice 0.
 * Throws `UpstreamBroken` where it is no completion, or holds an error in spite of its status.
 */
export function readCompletion(json: unknown): Completion {
  if (!isJsonObject(json))
    throw new UpstreamBroken('the model sent an answer that is not a JSON object');
  if (providerError(json) === null && !Array.isArray(json['choices'])) {
    throw new UpstreamBroken('the model sent an answer without choices');
  }
  // A whole body differs from a chunk in `message` for `delta` only, and the accumulator reads
  // both.
  const whole = new CompletionAccumulator();
  whole.accept(json);
  return {
    message: whole.message(),
    alternatives: whole.alternatives(),
    usage: whole.usage,
    model: whole.model,
    id: whole.id,
    finishReason: whole.finishReason,
  };
}
