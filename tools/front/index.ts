export { startFront } from './front.js';
export type { Front } from './front.js';
export type { Replica } from './replicas.js';
export { SERVICE_KINDS } from './routes.js';
export type { ServiceKind } from './routes.js';
