import { readFileSync } from 'node:fs';
import {
  DEFAULT_DEMO_OPTIONS,
  DEMO_SETTINGS,
  InvalidSetting,
  applyOptions,
  parseContextTokens,
  parsePrices,
} from '#libs/llm';
import type { DemoOptions, OptionName } from '#libs/llm';
import { z } from 'zod';

/** JSON of an object, or a number: else it is a path. */
const IN_PLACE = /^\{|^-?[\d.]+(e[+-]?\d+)?$/i;

/** USD per million tokens by model: as JSON, or in a file of it. */
export const prices = readSetting('SBP_PRICES', (text) =>
  parsePrices(textOrFile('SBP_PRICES', text, 'JSON, which begins with {')),
);

/** The most tokens of prompt by model: a number for all, JSON, or a file of one of these. */
export const contextTokens = readSetting('SBP_CONTEXT_TOKENS', (text) => {
  const forms = 'a number, as in 32000, JSON, which begins with {';
  return parseContextTokens(textOrFile('SBP_CONTEXT_TOKENS', text, forms));
});

/** An option of the demo model, as the model itself reads it. */
export function demoOption<F extends keyof DemoOptions>(option: OptionName, field: F) {
  const name = DEMO_SETTINGS[option];
  const base = DEFAULT_DEMO_OPTIONS;
  const read = (text: string) => applyOptions(base, { [option]: { name, text } })[field];
  return readSetting(name, read).default(base[field] as never);
}

/** A setting that another library reads; its `InvalidSetting` becomes a problem of the schema. */
function readSetting<T>(name: string, read: (text: string) => T) {
  return z.string().transform((text, context): T => {
    try {
      return read(text);
    } catch (error) {
      if (!(error instanceof InvalidSetting)) throw error;
      // What is wrong may lie within the setting: `SBP_PRICES["gpt-4o"].input`.
      const params = { within: error.field.slice(name.length) };
      context.addIssue({ code: 'custom', message: error.problem, params });
      return z.NEVER;
    }
  });
}

function textOrFile(name: string, given: string, forms: string): string {
  if (IN_PLACE.test(given)) return given;
  try {
    return readFileSync(given, 'utf8');
  } catch (error) {
    const problem = `is neither ${forms}, nor a file that can be read`;
    throw new InvalidSetting(name, `${problem}: ${(error as Error).message}`);
  }
}
