import { describe, expect, it } from 'vitest';
import { parsePrices, PriceList } from './prices.js';

const USAGE = { prompt_tokens: 1000, completion_tokens: 200 };

describe('prices', () => {
  const prices = new PriceList(
    parsePrices('{"gpt-4o": {"input": 2.5, "output": 10}, "free": {"input": 0, "output": 0}}'),
  );

  it('are in USD per million tokens', () => {
    expect(prices.cost('gpt-4o', USAGE)).toBe(0.0045);
    expect(prices.cost('free', USAGE)).toBe(0);
  });

  it('are never guessed', () => {
    expect(prices.cost('gpt-4o-mini', USAGE)).toBeNull();
    expect(prices.cost('constructor', USAGE)).toBeNull();
    expect(prices.cost('gpt-4o', null)).toBeNull();
  });

  it('make the demo model free, unless somebody says otherwise', () => {
    expect(prices.cost('demo', USAGE)).toBe(0);
    expect(
      new PriceList(parsePrices('{"demo": {"input": 1000, "output": 0}}')).cost('demo', USAGE),
    ).toBe(1);
  });

  it.each([
    ['gpt-4o', 'SBP_PRICES'],
    ['[]', 'SBP_PRICES'],
    ['{"m": 3}', 'SBP_PRICES["m"]'],
    ['{"m": {"input": 3}}', 'SBP_PRICES["m"].output'],
    ['{"m": {"input": -1, "output": 3}}', 'SBP_PRICES["m"].input'],
    ['{"m": {"input": "1", "output": 3}}', 'SBP_PRICES["m"].input'],
    ['{"m": {"input": 1, "output": 3, "ouput": 3}}', 'SBP_PRICES["m"].ouput'],
  ])('name the field of %s that cannot be used', (text, field) => {
    expect(() => parsePrices(text)).toThrow(
      expect.objectContaining({ name: 'InvalidSetting', field }),
    );
  });
});
