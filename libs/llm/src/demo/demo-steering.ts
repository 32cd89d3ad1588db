import { InvalidSetting } from '../invalid-setting.js';
import type { DemoOptions, OptionName, WrittenOption } from './demo-options.js';
import { applyOptions, OPTION_NAMES } from './demo-options.js';

const LINE = /^[ \t]*demo:(?<words>.*)$/gim;

/** What a user message asks of the demo model, and what it says apart from that. */
export interface Steered {
  readonly options: DemoOptions;
  readonly text: string;
}

/**
 * Lets a line such as `demo: ttft=500 tokens=40 interval=50 fail=break:3 vary` in a user message
 * override options for its own call. A line without an option is ordinary text. Throws
 * `InvalidSetting` when one that has options cannot be understood.
 */
export function steer(message: string, base: DemoOptions): Steered {
  if (!/demo:/i.test(message)) return { options: base, text: message };
  const written: Partial<Record<OptionName, WrittenOption>> = {};
  const text = message.replace(LINE, (line, list: string) => {
    const words = list.trim().split(/\s+/);
    const steers =
      words.every((word) => readOption(word) !== null) ||
      words.some((word) => readOption(word)?.assigned);
    if (!steers) return line;
    for (const word of words) {
      const option = readOption(word);
      if (option === null)
        throw new InvalidSetting(`demo: ${word}`, `is none of ${OPTION_NAMES.join(', ')}`);
      written[option.name] = { name: `demo: ${option.name}`, text: option.value };
    }
    return '';
  });
  return { options: applyOptions(base, written), text };
}

function readOption(
  word: string,
): { readonly name: OptionName; readonly value: string; readonly assigned: boolean } | null {
  const [key, value] = word.split('=', 2);
  const name = OPTION_NAMES.find((option) => option === key);
  if (name === undefined) return null;
  if (value !== undefined) return { name, value, assigned: true };
  return name === 'vary' ? { name, value: 'true', assigned: false } : null;
}
