export { SurfaceClient, surfaceUrl } from './surface-client.js';
export type { FrameOf } from './surface-client.js';
