import { parseFlags } from './command-line.js';
import { SettingsSchema } from './settings-schema.js';
import type { SettingName } from './settings-schema.js';

/** Settings that are parsed where they are used, and not by the schema. */
const OTHER_SETTINGS = [
  'SBP_PRICES',
  'SBP_CONTEXT_TOKENS',
  'SBP_DEMO_TTFT_MS',
  'SBP_DEMO_TOKENS',
  'SBP_DEMO_INTERVAL_MS',
  'SBP_DEMO_VARY',
  'SBP_DEMO_FAIL',
] as const;

export type AnySetting = SettingName | (typeof OTHER_SETTINGS)[number];

/** Every setting of a server, by its environment variable. */
export const SETTING_NAMES: readonly AnySetting[] = [
  ...(Object.keys(SettingsSchema.shape) as SettingName[]),
  ...OTHER_SETTINGS,
];

export type Environment = Readonly<Record<string, string | undefined>>;

interface WrittenSetting {
  readonly text: string;
  /** What wrote it: its flag or its environment variable. */
  readonly source: string;
}

/** Every setting that somebody wrote; an empty one counts as not written. */
export type WrittenSettings = ReadonlyMap<AnySetting, WrittenSetting>;

/** The flag of a setting: `--llm-base-url` for `SBP_LLM_BASE_URL`. */
function flagOf(setting: AnySetting): string {
  return setting.slice('SBP_'.length).toLowerCase().replaceAll('_', '-');
}

const FLAGS = Object.fromEntries(SETTING_NAMES.map((name) => [flagOf(name), 'value' as const]));

/** A flag goes before its variable. @throws InvalidSetting for a flag that is none */
export function writtenSettings(
  environment: Environment,
  argv: readonly string[] = [],
): WrittenSettings {
  const flags = parseFlags(argv, FLAGS);
  const written = new Map<AnySetting, WrittenSetting>();
  for (const name of SETTING_NAMES) {
    const flag = flagOf(name);
    const given = flags[flag] ?? environment[name];
    const text = given?.trim() ?? '';
    const source = flags[flag] === undefined ? name : `--${flag}`;
    if (text !== '') written.set(name, { text, source });
  }
  return written;
}
