import { InvalidSetting } from '../invalid-setting.js';
import type { AskedCalls, DemoCall } from './demo-calls.js';
import { MAX_CALLS, readCall, readRounds } from './demo-calls.js';
import type { DemoOptions, OptionName, WrittenOption } from './demo-options.js';
import { applyOptions, OPTION_NAMES } from './demo-options.js';

/** What only a line can ask for, because it is about one conversation. */
const LINE_NAMES = ['call', 'rounds'] as const;
type LineName = OptionName | (typeof LINE_NAMES)[number];
const NAMES: readonly LineName[] = [...OPTION_NAMES, ...LINE_NAMES];
const LINE = /^[ \t]*demo:(?<words>.*)$/gim;

/** What a user message asks of the demo model, and what it says apart from that. */
export interface Steered {
  readonly options: DemoOptions;
  readonly asked: AskedCalls;
  /** Whether a line says how many words the answer has. */
  readonly hasLength: boolean;
  readonly text: string;
}

/**
 * Lets a line such as `demo: ttft=500 tokens=40 interval=50 fail=break:3 vary` or
 * `demo: call=gps call=camera:{"flash":true} rounds=2` in a user message override options for its
 * own call, and ask for calls of tools. A line without an option is ordinary text. Throws
 * `InvalidSetting` when one that has options cannot be understood.
 */
export function steer(message: string, base: DemoOptions): Steered {
  const written: Partial<Record<OptionName, WrittenOption>> = {};
  const calls: DemoCall[] = [];
  let rounds = 1;
  const text = message.replace(LINE, (line, list: string) => {
    const words = list.trim().split(/\s+/);
    const steers =
      words.every((word) => readOption(word) !== null) ||
      words.some((word) => readOption(word)?.assigned);
    if (!steers) return line;
    for (const word of words) {
      const option = readOption(word);
      if (option === null)
        throw new InvalidSetting(`demo: ${word}`, `is none of ${NAMES.join(', ')}`);
      const value = { name: `demo: ${option.name}`, text: option.value };
      if (option.name === 'call') calls.push(readCall(value));
      else if (option.name === 'rounds') rounds = readRounds(value);
      else written[option.name] = value;
    }
    return '';
  });
  if (calls.length > MAX_CALLS)
    throw new InvalidSetting('demo: call', `may stand ${MAX_CALLS} times at most`);
  return {
    options: applyOptions(base, written),
    asked: { calls, rounds },
    hasLength: written.tokens !== undefined,
    text,
  };
}

function readOption(
  word: string,
): { readonly name: LineName; readonly value: string; readonly assigned: boolean } | null {
  // At the first one only: a value may contain another.
  const equals = word.indexOf('=');
  const key = equals < 0 ? word : word.slice(0, equals);
  const name = NAMES.find((option) => option === key);
  if (name === undefined) return null;
  if (equals >= 0) return { name, value: word.slice(equals + 1), assigned: true };
  return name === 'vary' ? { name, value: 'true', assigned: false } : null;
}
