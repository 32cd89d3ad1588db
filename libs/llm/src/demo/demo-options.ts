import { InvalidSetting } from '../invalid-setting.js';

/** How a call of the demo model fails; always, or each `every`-th call only. */
export type DemoFailure =
  /** Answers with this status and an error of OpenAI's form; 429 with `Retry-After`. */
  | { readonly type: 'status'; readonly status: number; readonly every: number }
  /** Drops the connection before the response head. */
  | { readonly type: 'refuse'; readonly every: number }
  /**
   * Breaks off after this many words, at the latest before the end; an answer that is not streamed,
   * in its middle.
   */
  | { readonly type: 'break'; readonly after: number; readonly every: number }
  /** Never answers. */
  | { readonly type: 'hang'; readonly every: number };

/** What the demo model does. */
export interface DemoOptions {
  /** Time before the first byte, in milliseconds. */
  readonly ttftMs: number;
  /** Words in an answer, one chunk each. */
  readonly tokens: number;
  /** Time between two words, in milliseconds; 0 sends them all as fast as they are taken. */
  readonly intervalMs: number;
  /** Each call answers differently; else equal requests get equal text. */
  readonly vary: boolean;
  readonly fail: DemoFailure | null;
}

/** Fast enough to be pleasant, slow enough that one sees it stream. */
export const DEFAULT_DEMO_OPTIONS: DemoOptions = {
  ttftMs: 100,
  tokens: 40,
  intervalMs: 20,
  vary: false,
  fail: null,
};

/** One option as a user writes it: `text` under the name that errors should mention. */
export interface WrittenOption {
  readonly name: string;
  readonly text: string;
}

/** The options that were written, by their names without decoration. */
export type WrittenOptions = Readonly<Partial<Record<OptionName, WrittenOption>>>;
export type OptionName = keyof typeof DEMO_SETTINGS;

/** By option, the setting that sets it. */
export const DEMO_SETTINGS = {
  ttft: 'SBP_DEMO_TTFT_MS',
  tokens: 'SBP_DEMO_TOKENS',
  interval: 'SBP_DEMO_INTERVAL_MS',
  vary: 'SBP_DEMO_VARY',
  fail: 'SBP_DEMO_FAIL',
} as const;

/** All options, in the order in which they are documented. */
export const OPTION_NAMES: readonly OptionName[] = ['ttft', 'tokens', 'interval', 'vary', 'fail'];

/** Replaces what was written in `base`. Throws `InvalidSetting`. */
export function applyOptions(base: DemoOptions, written: WrittenOptions): DemoOptions {
  return {
    ttftMs: written.ttft === undefined ? base.ttftMs : wholeNumber(written.ttft, 0, 600_000),
    tokens: written.tokens === undefined ? base.tokens : wholeNumber(written.tokens, 1, 100_000),
    intervalMs:
      written.interval === undefined ? base.intervalMs : wholeNumber(written.interval, 0, 60_000),
    vary: written.vary === undefined ? base.vary : flagValue(written.vary),
    fail: written.fail === undefined ? base.fail : failure(written.fail),
  };
}

function wholeNumber({ name, text }: WrittenOption, least: number, most: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : -1;
  if (value < least || value > most)
    throw new InvalidSetting(name, `must be a whole number from ${least} to ${most}`);
  return value;
}

function flagValue({ name, text }: WrittenOption): boolean {
  if (/^(true|on|yes|1)$/i.test(text)) return true;
  if (/^(false|off|no|0)$/i.test(text)) return false;
  throw new InvalidSetting(name, 'must be true or false');
}

const FAILURE =
  /^(?<mode>status|refuse|break|hang)(?::(?<argument>\d{1,6}))?(?:@(?<every>[1-9]\d{0,5}))?$/;

function failure({ name, text }: WrittenOption): DemoFailure | null {
  if (text === 'none') return null;
  const { mode, argument, every: nth } = FAILURE.exec(text)?.groups ?? {};
  const value = argument === undefined ? null : Number(argument);
  const every = Number(nth ?? 1);
  if (mode === 'status' && value !== null && value >= 400 && value <= 599)
    return { type: mode, status: value, every };
  if (mode === 'break' && value !== null) return { type: mode, after: value, every };
  if ((mode === 'refuse' || mode === 'hang') && value === null) return { type: mode, every };
  throw new InvalidSetting(
    name,
    'must be none, status:CODE (400 to 599), refuse, break:WORDS or hang, each optionally with @N for every N-th call',
  );
}
