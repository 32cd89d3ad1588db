import { adaptation, attachedContext } from '#libs/domain';
import type { JsonObject } from '#libs/protocol';
import type { MaxTokensField } from '../completions-options.js';
import { MAX_TOKENS_FIELDS } from '../completions-options.js';
import type { Prompt, TurnAttempt } from '../turn/turn-attempt.js';

/** What goes to the model of a turn. */
export interface AdaptedRequest {
  readonly prompt: Prompt;
  readonly options: JsonObject;
}

/**
 * A turn's prompt and options as the model is sent them: with one system message behind the
 * client's own that tells it of the attached surface, and with the surface's limit where the
 * request sets none. What the attempt itself holds is what is stored, and stays as it is.
 */
export function adaptedRequest(
  { state, prompt }: Pick<TurnAttempt, 'state' | 'prompt'>,
  options: JsonObject,
  field: MaxTokensField,
): AdaptedRequest {
  const { instruction, maxOutputTokens } = adaptation(attachedContext(state));
  const isLimited = MAX_TOKENS_FIELDS.some((name) => (options[name] ?? null) !== null);
  return {
    prompt: instruction === null ? prompt : withSystem(prompt, instruction),
    options:
      maxOutputTokens === null || isLimited ? options : { ...options, [field]: maxOutputTokens },
  };
}

function withSystem(prompt: Prompt, content: string): Prompt {
  return { ...prompt, system: [...prompt.system, { role: 'system', content }] };
}
