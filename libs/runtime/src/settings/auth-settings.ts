import path from 'node:path';
import type { AuthSettings, JwtIssuer } from '#libs/auth';
import { isLoopbackAddress } from '#libs/auth';
import type { SettingsValues } from './settings-schema.js';

type Values = Pick<
  SettingsValues,
  | 'SBP_HOST'
  | 'SBP_DATA_DIR'
  | 'SBP_AUTH'
  | 'SBP_API_KEY_FILE'
  | 'SBP_AUTH_JWT_SECRET'
  | 'SBP_AUTH_JWKS_URL'
  | 'SBP_AUTH_JWT_ISSUER'
  | 'SBP_AUTH_JWT_AUDIENCE'
>;

/** Whether a server that listens there is reached from its own machine alone. */
export function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || isLoopbackAddress(host);
}

/** Where API keys are kept if nothing else is said. */
export function defaultApiKeyFile(dataDir: string): string {
  return path.join(dataDir, 'api-keys.json');
}

/** What is wrong between the settings of access goes to `problems`. */
export function readAuth(problems: string[], values: Values): AuthSettings {
  const isOpen = values.SBP_AUTH !== 'required';
  const hostProblem = openHostProblem(values);
  if (hostProblem !== null) problems.push(hostProblem);
  if (isOpen) {
    for (const name of ONLY_REQUIRED) {
      if (values[name] !== undefined) problems.push(`${name}: needs SBP_AUTH=required`);
    }
    return { type: 'open' };
  }
  return {
    type: 'required',
    apiKeyFile: values.SBP_API_KEY_FILE ?? defaultApiKeyFile(values.SBP_DATA_DIR),
    jwt: readJwt(problems, values),
  };
}

const ONLY_REQUIRED = [
  'SBP_AUTH_JWT_SECRET',
  'SBP_AUTH_JWKS_URL',
  'SBP_AUTH_JWT_ISSUER',
  'SBP_AUTH_JWT_AUDIENCE',
] as const;

/** Why a server with open access must not listen there; null if it may. */
export function openHostProblem({
  SBP_HOST: host,
  SBP_AUTH: auth,
}: Pick<Values, 'SBP_HOST' | 'SBP_AUTH'>): string | null {
  if (auth !== undefined || isLoopbackHost(host)) return null;
  return (
    `SBP_HOST: ${host} is not a loopback address, and access is open: whoever reached the port could read and run every session. ` +
    'Set SBP_AUTH=required (and make keys by `sbp-server token create`), or bind 127.0.0.1. SBP_AUTH=none leaves it open all the same.'
  );
}

function readJwt(problems: string[], values: Values): JwtIssuer | null {
  const { SBP_AUTH_JWT_SECRET: secret, SBP_AUTH_JWKS_URL: url } = values;
  const issuer = values.SBP_AUTH_JWT_ISSUER ?? null;
  const audience = values.SBP_AUTH_JWT_AUDIENCE ?? null;
  if (secret !== undefined && url !== undefined) {
    problems.push('SBP_AUTH_JWKS_URL: must not be set beside SBP_AUTH_JWT_SECRET. Choose one.');
  }
  if (secret !== undefined) return { key: { type: 'secret', secret }, issuer, audience };
  if (url === undefined) {
    if (issuer !== null || audience !== null) {
      problems.push(
        'SBP_AUTH_JWT_ISSUER, SBP_AUTH_JWT_AUDIENCE: need SBP_AUTH_JWT_SECRET or SBP_AUTH_JWKS_URL',
      );
    }
    return null;
  }
  // The keys of an identity provider sign for many: a token of another of its audiences is no key.
  if (issuer === null) problems.push('SBP_AUTH_JWT_ISSUER: must be set with SBP_AUTH_JWKS_URL');
  if (audience === null) problems.push('SBP_AUTH_JWT_AUDIENCE: must be set with SBP_AUTH_JWKS_URL');
  return { key: { type: 'jwks', url }, issuer, audience };
}
