export { TimedOut, deadline, within } from './deadline.js';
export { Limit } from './limit.js';
export { backOff, pause } from './pause.js';
export type { BackOff } from './pause.js';
export { PeriodicTask } from './periodic-task.js';
export type { PeriodicTaskOptions } from './periodic-task.js';
