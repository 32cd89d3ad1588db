import { ApiKeys, ROLES, principalProblem } from '#libs/auth';
import type { ListedApiKey, Role } from '#libs/auth';
import { InvalidSetting } from '#libs/llm';
import { commandLine, readingCommand } from './command-settings.js';
import { prepareDataDirectory } from './data-directory.js';
import type { Settings } from './settings.js';
import type { Environment } from './written-settings.js';
import { writtenSettings } from './written-settings.js';

const FLAGS = {
  principal: 'value',
  role: 'value',
  label: 'value',
  'ttl-days': 'value',
} as const;
const DAY_MS = 24 * 60 * 60 * 1000;
const LONGEST_LABEL = 120;

/**
 * `sbp-server token create|list|revoke`: API keys. What is to be printed; the key itself is shown
 * by `create`, once. @throws InvalidSettings
 */
export function tokenCommand(
  environment: Environment,
  [what = '', ...argv]: readonly string[],
): string {
  // Keys are made before the server requires them, so that need not be set yet.
  const given = { ...environment, SBP_AUTH: 'required' };
  return readingCommand(() => {
    switch (what) {
      case 'create':
        return create(given, argv);
      case 'list':
        return list(keysOf(commandLine(given, argv).settings));
      case 'revoke':
        return revoke(given, argv);
      default:
        throw new InvalidSetting('token', '`create`, `list` or `revoke` must come first.');
    }
  });
}

function create(environment: Environment, argv: readonly string[]): string {
  const { flags, settings } = commandLine(environment, argv, FLAGS);
  const { principal = '', label = null } = flags;
  const problem = principalProblem(principal);
  if (problem !== null) {
    throw new InvalidSetting('--principal', `${problem}. It names who the key is for.`);
  }
  if (label !== null && label.length > LONGEST_LABEL) {
    throw new InvalidSetting('--label', `has more than ${LONGEST_LABEL} characters`);
  }
  const role = roleOf(flags['role']);
  const expiresAt = expiry(flags['ttl-days']);
  if (!writtenSettings(environment).has('SBP_API_KEY_FILE')) prepareDataDirectory(settings.dataDir);
  const { key, listed } = keysOf(settings).create({ principal, role, label, expiresAt });
  return `${key}\nThis is shown once. ${lineOf(listed)}`;
}

function revoke(environment: Environment, [id = '', ...argv]: readonly string[]): string {
  const keys = keysOf(commandLine(environment, argv).settings);
  if (keys.revoke(id)) return `Revoked. Running servers refuse it within a second.\n`;
  throw new InvalidSetting('token revoke', `there is no key ${id}. See \`sbp-server token list\`.`);
}

function list(keys: ApiKeys): string {
  const listed = keys.list();
  return listed.length === 0 ? 'There are no API keys.\n' : listed.map(lineOf).join('');
}

function lineOf(key: ListedApiKey): string {
  const { id, principal, role, label, created_at, expires_at, revoked_at } = key;
  const parts = [
    `${id}  ${role}  ${principal}  made ${created_at}`,
    expires_at === null ? '' : `expires ${expires_at}`,
    revoked_at === null ? '' : `revoked ${revoked_at}`,
    label ?? '',
  ];
  return `${parts.filter((part) => part !== '').join('  ')}\n`;
}

function keysOf({ auth }: Settings): ApiKeys {
  if (auth.type === 'open') throw new Error('SBP_AUTH is set by this command');
  return new ApiKeys(auth.apiKeyFile);
}

function roleOf(text: string | undefined): Role {
  const role = ROLES.find((known) => known === (text ?? 'user'));
  if (role !== undefined) return role;
  throw new InvalidSetting('--role', `must be one of ${ROLES.join(', ')}`);
}

function expiry(days: string | undefined): Date | null {
  if (days === undefined) return null;
  if (!/^[1-9]\d{0,4}$/.test(days)) {
    throw new InvalidSetting('--ttl-days', 'must be a whole number from 1 to 99999');
  }
  return new Date(Date.now() + Number(days) * DAY_MS);
}
