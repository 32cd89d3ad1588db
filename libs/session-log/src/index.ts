export { SYSTEM, SessionLog } from './session-log.js';
export type { Executed, ExecutedAndFolded, Execution } from './session-log.js';
export { SessionReleases } from './session-releases.js';
export { Maintenance } from './maintenance.js';
export type { HeldSession, MaintenanceWork } from './maintenance.js';
