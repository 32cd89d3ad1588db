export { SessionAccess } from './session-access.js';
export type { Credential } from './session-access.js';
