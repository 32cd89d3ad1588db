export { startFront } from './front.js';
export type { Front } from './front.js';
export type { Replica } from './replicas.js';
