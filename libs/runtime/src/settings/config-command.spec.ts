import { describe, expect, it } from 'vitest';
import { configCommand } from './config-command.js';
import { SETTING_NAMES } from './written-settings.js';

/** The lines of the command, without their line ends. */
function config(environment: Record<string, string>, argv: readonly string[] = []): string[] {
  return configCommand(environment, argv).trimEnd().split('\n');
}

describe('sbp-server config', () => {
  it('prints every setting once', () => {
    const names = config({}).map((line) => line.slice(0, line.indexOf('=')));
    expect(names).toEqual([...SETTING_NAMES]);
    expect(names).toEqual(expect.arrayContaining(['SBP_PRICES', 'SBP_DEMO_TOKENS']));
  });

  it('shows each default, also one that depends on other settings', () => {
    const lines = config({}, ['--data-dir', '/var/lib/sbp', '--port', '9']);
    for (const line of [
      'SBP_KEY_FILE=/var/lib/sbp/keys.json  # default',
      'SBP_API_KEY_FILE=/var/lib/sbp/api-keys.json  # default',
      'SBP_PUBLIC_URL=http://127.0.0.1:9  # default',
      'SBP_DEMO_TOKENS=40  # default',
      'SBP_DEMO_VARY=false  # default',
      'SBP_DEMO_FAIL=none  # default',
    ]) {
      expect(lines).toContain(line);
    }
    // A setting that nobody has to make has no default, and neither has a list that is empty.
    const empty = lines
      .filter((line) => line.includes('=  #'))
      .map((line) => line.slice(0, line.indexOf('=')));
    expect(empty.sort()).toEqual([
      'SBP_ALLOWED_HOSTS',
      'SBP_ALLOWED_ORIGINS',
      'SBP_AUTH',
      'SBP_AUTH_JWKS_URL',
      'SBP_AUTH_JWT_AUDIENCE',
      'SBP_AUTH_JWT_ISSUER',
      'SBP_AUTH_JWT_SECRET',
      'SBP_CONTEXT_TOKENS',
      'SBP_JWT_SECRET',
      'SBP_KAFKA_BROKERS',
      'SBP_LLM_API_KEY',
      'SBP_LLM_BASE_URL',
      'SBP_OTLP_URL',
      'SBP_POSTGRES_URL',
      'SBP_PRICES',
      'SBP_TRUSTED_ISSUERS',
      'SBP_TRUSTED_PROXIES',
    ]);
  });

  it('shows what was written as it was written, and no address that is not known yet', () => {
    const prices = '{"m": {"input": 1, "output": 2}}';
    const lines = config({ SBP_PRICES: prices, SBP_DEMO_FAIL: 'hang' }, ['--port', '0']);
    expect(lines).toContain(`SBP_PRICES=${prices}  # environment`);
    expect(lines).toContain('SBP_DEMO_FAIL=hang  # environment');
    expect(lines).toContain('SBP_PUBLIC_URL=  # default');
  });

  it('names a wrong part of a setting by what wrote it', () => {
    expect(() => config({}, ['--prices', '{"m": 1}'])).toThrow(/^--prices\["m"\]: must be/);
  });
});
