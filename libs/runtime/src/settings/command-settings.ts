import { InvalidSetting } from '#libs/llm';
import type { FlagTable, WrittenFlags } from './command-line.js';
import { parseFlags } from './command-line.js';
import type { Settings } from './settings.js';
import { InvalidSettings, parseSettings } from './settings.js';
import type { Environment } from './written-settings.js';

/** The flag by which every command says where the embedded storage is. */
const PLACE = { 'data-dir': 'value' } as const;

/** What a command of `sbp-server` was given. */
interface CommandLine {
  readonly flags: WrittenFlags;
  readonly settings: Settings;
}

/**
 * Reads a command's own flags beside `--data-dir`, and the settings of the installation that it is
 * about. @throws InvalidSetting, InvalidSettings
 */
export function commandLine(
  environment: Environment,
  argv: readonly string[],
  table: FlagTable = {},
): CommandLine {
  const flags = parseFlags(argv, { ...PLACE, ...table });
  const dataDir = flags['data-dir'];
  const written = dataDir === undefined ? {} : { SBP_DATA_DIR: dataDir };
  return { flags, settings: parseSettings({ ...environment, ...written }) };
}

/** What is wrong with a flag is told as what is wrong with a setting. @throws InvalidSettings */
export function readingCommand<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof InvalidSetting) throw new InvalidSettings([error.message]);
    throw error;
  }
}
