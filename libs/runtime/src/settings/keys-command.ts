import { KEY_ALGORITHMS, SigningKeys, isKeyAlgorithm } from '#libs/auth';
import type { KeyAlgorithm, ListedKey } from '#libs/auth';
import { InvalidSetting } from '#libs/llm';
import { commandLine, readingCommand } from './command-settings.js';
import { prepareDataDirectory } from './data-directory.js';
import { InvalidSettings } from './settings.js';
import type { Environment } from './written-settings.js';
import { writtenSettings } from './written-settings.js';

const FLAGS = { alg: 'value' } as const;

/** `sbp-server keys list` and `keys rotate`: what is to be printed. @throws InvalidSettings */
export async function keysCommand(
  environment: Environment,
  [what = '', ...argv]: readonly string[],
): Promise<string> {
  if (what !== 'list' && what !== 'rotate') {
    throw new InvalidSettings(['keys: `list` or `rotate` must come first.']);
  }
  const { settings, algorithm } = readingCommand(() => {
    const { flags, settings } = commandLine(environment, argv, FLAGS);
    return { settings, algorithm: algorithmOf(flags['alg']) };
  });
  const keys = new SigningKeys(settings.keyFile);
  if (what === 'rotate') {
    if (!writtenSettings(environment).has('SBP_KEY_FILE')) prepareDataDirectory(settings.dataDir);
    await keys.rotate(algorithm);
  }
  const listed = keys.list();
  if (listed.length === 0) return `There are no keys in ${settings.keyFile}: the secret signs.\n`;
  return listed.map(lineOf).join('');
}

function algorithmOf(alg: string | undefined): KeyAlgorithm {
  if (alg === undefined) return 'EdDSA';
  if (isKeyAlgorithm(alg)) return alg;
  throw new InvalidSetting('--alg', `must be one of ${KEY_ALGORITHMS.join(', ')}`);
}

function lineOf({ kid, alg, createdAt, retiredAt }: ListedKey): string {
  const state = retiredAt === null ? 'signs' : `retired ${retiredAt}`;
  return `${kid}  ${alg}  made ${createdAt}  ${state}\n`;
}
