export { DIALECTS, openTestStore } from './test-store.js';
export type { TestStore } from './test-store.js';
