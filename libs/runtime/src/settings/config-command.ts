import { redactText } from '#libs/telemetry';
import { defaultApiKeyFile } from './auth-settings.js';
import { SettingsSchema } from './settings-schema.js';
import type { SettingName } from './settings-schema.js';
import type { Settings } from './settings.js';
import { parseSettings } from './settings.js';
import type { Environment } from './written-settings.js';
import { SETTING_NAMES, writtenSettings } from './written-settings.js';

const SECRETS: ReadonlySet<SettingName> = new Set([
  'SBP_JWT_SECRET',
  'SBP_AUTH_JWT_SECRET',
  'SBP_LLM_API_KEY',
]);

/**
 * `sbp-server config`: every setting, what it is, and what set it: a flag, a variable, or nobody.
 * Secrets are not shown. `ownDefaults`: what the program sets by itself. @throws InvalidSettings
 */
export function configCommand(
  environment: Environment,
  argv: readonly string[],
  ownDefaults: Partial<Record<SettingName, string>> = {},
): string {
  const settings = parseSettings(environment, argv);
  const written = writtenSettings(environment, argv);
  const defaults: Readonly<Record<string, unknown>> = {
    ...SettingsSchema.parse({}),
    ...computedDefaults(settings),
    ...ownDefaults,
  };
  return SETTING_NAMES.map((name) => {
    const { text = null, source = 'default' } = written.get(name) ?? {};
    const value = text === null ? shownDefault(defaults[name]) : shown(name, text);
    return `${name}=${value}  # ${source === name ? 'environment' : source}\n`;
  }).join('');
}

/** What depends on other settings where it is not said itself. */
function computedDefaults(settings: Settings): Partial<Record<SettingName, string>> {
  const { dataDir, host, port, keyFile } = settings;
  const named = host.includes(':') ? `[${host}]` : host;
  return {
    SBP_KEY_FILE: keyFile,
    SBP_API_KEY_FILE: defaultApiKeyFile(dataDir),
    // With port 0 it is known only when the server listens.
    ...(port === 0 ? {} : { SBP_PUBLIC_URL: `http://${named}:${port}` }),
    SBP_DEMO_FAIL: 'none',
  };
}

function shown(name: SettingName, text: string): string {
  return SECRETS.has(name) ? '(hidden)' : redactText(text);
}

function shownDefault(value: unknown): string {
  if (Array.isArray(value)) return value.join(',');
  return ['string', 'number', 'boolean'].includes(typeof value) ? String(value) : '';
}
