export { clientAddress } from './client-address.js';
export { loadSecret, secretProblem, UnusableSecret } from './secret.js';
export type { SecretSource } from './secret.js';
export { SessionTokens } from './session-tokens.js';
export type { IssuedSessionToken, SessionTokenVerdict } from './session-tokens.js';
export { RoamingTokens } from './roaming-tokens.js';
export type { RoamingTokenVerdict } from './roaming-tokens.js';
export { checkHost, checkOrigin, isLoopbackAddress } from './trust.js';
