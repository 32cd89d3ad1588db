import { redactText } from '#libs/telemetry';
import { SettingsSchema } from './settings-schema.js';
import { parseSettings } from './settings.js';
import type { AnySetting, Environment } from './written-settings.js';
import { SETTING_NAMES, writtenSettings } from './written-settings.js';

const SECRETS: ReadonlySet<AnySetting> = new Set([
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
  ownDefaults: Partial<Record<AnySetting, string>> = {},
): string {
  parseSettings(environment, argv);
  const written = writtenSettings(environment, argv);
  const defaults: Readonly<Record<string, unknown>> = {
    ...SettingsSchema.parse({}),
    ...ownDefaults,
  };
  return SETTING_NAMES.map((name) => {
    const { text = null, source = 'default' } = written.get(name) ?? {};
    const value = text === null ? shownDefault(defaults[name]) : shown(name, text);
    return `${name}=${value}  # ${source === name ? 'environment' : source}\n`;
  }).join('');
}

function shown(name: AnySetting, text: string): string {
  return SECRETS.has(name) ? '(hidden)' : redactText(text);
}

function shownDefault(value: unknown): string {
  if (Array.isArray(value)) return value.join(',');
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}
