export { SurfaceClient, surfaceUrl } from './surface-client.js';
export type { FrameOf } from './surface-client.js';
export { TestBackend } from './test-backend.js';
export { TestLog } from './test-log.js';
export { TestProcess } from './test-process.js';
