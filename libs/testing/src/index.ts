export { SurfaceClient, surfaceUrl } from './surface-client.js';
export type { FrameOf } from './surface-client.js';
export { TestBackend } from './test-backend.js';
export { openTestDatabase } from './test-database.js';
export type { TestDatabase } from './test-database.js';
export { TestLog } from './test-log.js';
export { TestProcess } from './test-process.js';
