export { ApiKeys } from './api-keys.js';
export type { ListedApiKey } from './api-keys.js';
export { TrustedProxies, isNetwork } from './client-address.js';
export { derivedKey } from './derived-key.js';
export type { JwtIssuer } from './jwt-bearer.js';
export { UnusableKeys } from './kept-file.js';
export { ROLES, holderOfToken, principalProblem } from './principal.js';
export type { Principal, Role } from './principal.js';
export { Principals, bearer } from './principals.js';
export type { AuthSettings } from './principals.js';
export { loadSecret, secretProblem, UnusableSecret } from './secret.js';
export type { SecretSource } from './secret.js';
export { SessionTokens } from './session-tokens.js';
export type { IssuedSessionToken, SessionTokenVerdict } from './session-tokens.js';
export { RoamingTokens } from './roaming-tokens.js';
export type { IssuerKeys, RoamingTokenVerdict, TokenSigner } from './roaming-tokens.js';
export {
  KEY_ALGORITHMS,
  KNOWN_EVERYWHERE_MS,
  SigningKeys,
  isKeyAlgorithm,
} from './signing-keys.js';
export type { KeyAlgorithm, ListedKey } from './signing-keys.js';
export { checkHost, checkOrigin, isLoopbackAddress } from './trust.js';
