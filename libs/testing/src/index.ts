export { TestBackend } from './test-backend.js';
export { TestLog } from './test-log.js';
export { TestProcess } from './test-process.js';
