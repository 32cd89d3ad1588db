export { httpActor, serverActor } from './http-actor.js';
export { LiveCounts } from './live-counts.js';
export { RequestLoad } from './request-load.js';
export {
  SessionAccess,
  mustBeMoreThanToken,
  mustMayUse,
  notFound,
  ownPrincipal,
  requireToken,
  turnNotFound,
} from './session-access.js';
export type { Credential, UsedSession, Viewer } from './session-access.js';
