export { GatewayModule } from './gateway.module.js';
export type { GatewayModuleOptions } from './gateway.module.js';
export { SurfaceInbox } from './attachment/surface-inbox.js';
export { SurfaceSocket, SurfaceSockets } from './socket/surface-socket.js';
export type { SendOutcome } from './socket/surface-socket.js';
export { SurfaceTimings } from './surface-timings.js';
export { SurfaceWsAdapter } from './socket/surface-ws-adapter.js';
export type { SurfaceWsAdapterOptions } from './socket/surface-ws-adapter.js';
export { WsSurfaceSockets } from './socket/ws-surface-socket.js';
