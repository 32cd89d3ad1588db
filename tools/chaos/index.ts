export { runChaos } from './chaos-run.js';
export type { ChaosResult } from './chaos-run.js';
export { planBlows } from './kill-schedule.js';
export { Random } from './random.js';
export { STEPS, STEP_NAMES } from './steps.js';
export { residentBytes } from './memory-watch.js';
export { startEmbedded, startServices } from './topology.js';
export type { Topology } from './topology.js';
