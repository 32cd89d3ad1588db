import { isJsonObject } from '../json.js';

/** What a call consumed, as the provider reports it, with whatever else it says. */
export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly [field: string]: unknown;
}

/** The usage of a chunk or body; null where there is none, or one without both counts. */
export function readUsage(value: unknown): Usage | null {
  return isUsage(value) ? value : null;
}

function isUsage(value: unknown): value is Usage {
  return (
    isJsonObject(value) && isCount(value['prompt_tokens']) && isCount(value['completion_tokens'])
  );
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}
