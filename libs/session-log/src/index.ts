export { SYSTEM, SessionLog } from './session-log.js';
export type { Executed, ExecutedAndFolded, Execution } from './session-log.js';
