export { httpActor, serverActor } from './http-actor.js';
export {
  SessionAccess,
  mustMayUse,
  notFound,
  requireToken,
  turnNotFound,
} from './session-access.js';
export type { Credential } from './session-access.js';
