import { InvalidSetting } from '../invalid-setting.js';
import { isJsonObject } from '../json.js';

/** What a model costs, in USD per million tokens. */
export interface Price {
  readonly input: number;
  readonly output: number;
}

const TOKENS_PER_PRICE = 1_000_000;
const SETTING = 'SBP_PRICES';

/** The prices that the operator gave; the built-in model `demo` costs nothing. */
export class PriceList {
  private readonly prices: ReadonlyMap<string, Price>;

  constructor(entries: Iterable<readonly [string, Price]>) {
    this.prices = new Map([['demo', { input: 0, output: 0 }], ...entries]);
  }

  /**
   * The cost of a call in USD; null, never a guess, where the model's price or the usage is
   * unknown.
   */
  cost(
    model: string,
    usage: { readonly prompt_tokens: number; readonly completion_tokens: number } | null,
  ): number | null {
    const price = this.prices.get(model);
    if (price === undefined || usage === null) return null;
    const cost =
      (usage.prompt_tokens * price.input + usage.completion_tokens * price.output) /
      TOKENS_PER_PRICE;
    // Prices are decimal fractions: binary noise is cut far below a millionth of a cent.
    return Number(cost.toFixed(12));
  }
}

/**
 * Reads the setting `SBP_PRICES`: JSON, `{"model": {"input": 2.5, "output": 10}}`, in USD per
 * million tokens. Throws `InvalidSetting`, which names the field.
 */
export function parsePrices(text: string): ReadonlyMap<string, Price> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new InvalidSetting(SETTING, 'is not JSON');
  }
  if (!isJsonObject(json)) throw new InvalidSetting(SETTING, 'must be an object of models');
  return new Map(Object.entries(json).map(([model, price]) => [model, parsePrice(model, price)]));
}

function parsePrice(model: string, price: unknown): Price {
  const field = `${SETTING}[${JSON.stringify(model)}]`;
  if (!isJsonObject(price))
    throw new InvalidSetting(field, 'must be an object with "input" and "output"');
  for (const name of Object.keys(price)) {
    if (name !== 'input' && name !== 'output')
      throw new InvalidSetting(`${field}.${name}`, 'is unknown');
  }
  return {
    input: parseAmount(`${field}.input`, price['input']),
    output: parseAmount(`${field}.output`, price['output']),
  };
}

function parseAmount(field: string, amount: unknown): number {
  if (typeof amount !== 'number' || !Number.isFinite(amount) || amount < 0) {
    throw new InvalidSetting(field, 'must be a number of USD per million tokens, 0 or more');
  }
  return amount;
}
