import { KEY_ALGORITHMS, SigningKeys, isKeyAlgorithm } from '#libs/auth';
import type { KeyAlgorithm, ListedKey } from '#libs/auth';
import { InvalidSetting } from '#libs/llm';
import { parseFlags } from './command-line.js';
import { prepareDataDirectory } from './data-directory.js';
import { InvalidSettings, parseSettings } from './settings.js';

const FLAGS = { 'data-dir': 'value', alg: 'value' } as const;

/** `sbp-server keys list` and `keys rotate`: what is to be printed. @throws InvalidSettings */
export async function keysCommand(
  environment: Readonly<Record<string, string | undefined>>,
  [what = '', ...argv]: readonly string[],
): Promise<string> {
  if (what !== 'list' && what !== 'rotate') {
    throw new InvalidSettings(['keys: `list` or `rotate` must come first.']);
  }
  try {
    const { 'data-dir': dataDir, alg } = parseFlags(argv, FLAGS);
    const written = dataDir === undefined ? {} : { SBP_DATA_DIR: dataDir };
    const settings = parseSettings({ ...environment, ...written });
    const keys = new SigningKeys(settings.keyFile);
    if (what === 'rotate') {
      const algorithm = algorithmOf(alg);
      if (environment['SBP_KEY_FILE'] === undefined) prepareDataDirectory(settings.dataDir);
      await keys.rotate(algorithm);
    }
    const listed = keys.list();
    if (listed.length === 0) return `There are no keys in ${settings.keyFile}: the secret signs.\n`;
    return listed.map(lineOf).join('');
  } catch (error) {
    if (error instanceof InvalidSetting) throw new InvalidSettings([error.message]);
    throw error;
  }
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
