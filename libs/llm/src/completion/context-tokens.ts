import { InvalidSetting } from '../invalid-setting.js';
import { isJsonObject } from '../json.js';

const SETTING = 'SBP_CONTEXT_TOKENS';
/** The name that stands for all models without one of their own. */
const ALL = '*';
const LEAST = 256;

/** How many tokens of prompt each model is sent at most, as the operator decided. */
export class ContextTokens {
  private readonly limits: ReadonlyMap<string, number>;

  constructor(entries: Iterable<readonly [string, number]>) {
    this.limits = new Map(entries);
  }

  /** Null where there is no limit. */
  of(model: string): number | null {
    return this.limits.get(model) ?? this.limits.get(ALL) ?? null;
  }
}

/**
 * Reads the setting `SBP_CONTEXT_TOKENS`: a number for all models, or JSON, `{"gpt-4o": 128000,
 * "*": 32000}`. Throws `InvalidSetting`, which names the field.
 */
export function parseContextTokens(text: string): ReadonlyMap<string, number> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new InvalidSetting(SETTING, 'is neither a number nor JSON');
  }
  if (typeof json === 'number') return new Map([[ALL, limit(SETTING, json)]]);
  if (!isJsonObject(json)) {
    throw new InvalidSetting(SETTING, 'must be a number, or an object of models');
  }
  return new Map(
    Object.entries(json).map(([model, tokens]) => {
      return [model, limit(`${SETTING}[${JSON.stringify(model)}]`, tokens)];
    }),
  );
}

function limit(field: string, tokens: unknown): number {
  if (typeof tokens === 'number' && Number.isSafeInteger(tokens) && tokens >= LEAST) return tokens;
  throw new InvalidSetting(field, `must be a whole number of tokens, ${LEAST} or more`);
}
