export { httpActor } from './http-actor.js';
export { SessionAccess, mayUse, notFound, requireToken, turnNotFound } from './session-access.js';
export type { Credential } from './session-access.js';
