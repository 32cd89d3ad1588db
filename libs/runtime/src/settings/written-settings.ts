import { parseFlags } from './command-line.js';
import { SettingsSchema } from './settings-schema.js';
import type { SettingName } from './settings-schema.js';

/** Every setting of a server, by its environment variable. */
export const SETTING_NAMES = Object.keys(SettingsSchema.shape) as readonly SettingName[];

export type Environment = Readonly<Record<string, string | undefined>>;

interface WrittenSetting {
  readonly text: string;
  /** What wrote it: its flag or its environment variable. */
  readonly source: string;
}

/** Every setting that somebody wrote; an empty one counts as not written. */
export type WrittenSettings = ReadonlyMap<SettingName, WrittenSetting>;

/** The flag of a setting: `--llm-base-url` for `SBP_LLM_BASE_URL`. */
function flagOf(setting: SettingName): string {
  return setting.slice('SBP_'.length).toLowerCase().replaceAll('_', '-');
}

const FLAGS = Object.fromEntries(SETTING_NAMES.map((name) => [flagOf(name), 'value' as const]));

/** A flag goes before its variable. @throws InvalidSetting for a flag that is none */
export function writtenSettings(
  environment: Environment,
  argv: readonly string[] = [],
): WrittenSettings {
  const flags = parseFlags(argv, FLAGS);
  const written = new Map<SettingName, WrittenSetting>();
  for (const name of SETTING_NAMES) {
    const flag = flagOf(name);
    const given = flags[flag] ?? environment[name];
    const text = given?.trim() ?? '';
    const source = flags[flag] === undefined ? name : `--${flag}`;
    if (text !== '') written.set(name, { text, source });
  }
  return written;
}
