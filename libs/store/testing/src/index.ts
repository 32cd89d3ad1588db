export { NaiveSession } from './naive-session.js';
export { plansOf } from './query-plans.js';
export { readBy, recordsOf } from './records.js';
export { move, randomBatches } from './random-sessions.js';
export {
  aProcess,
  attachedSession,
  idleSession,
  nextTurn,
  runningSession,
  turnOf,
} from './sessions.js';
export { tablesOf } from './tables.js';
export { DIALECTS, costOf, openTestStore } from './test-store.js';
export type { TestStore } from './test-store.js';
