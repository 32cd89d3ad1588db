export { GatewayModule } from './gateway.module.js';
export type { GatewayModuleOptions } from './gateway.module.js';
export { SurfaceInbox } from './surface-inbox.js';
export { SurfaceSocket, SurfaceSockets } from './surface-socket.js';
export type { SendOutcome } from './surface-socket.js';
export { SurfaceTimings } from './surface-timings.js';
export { SurfaceWsAdapter } from './surface-ws-adapter.js';
export type { SurfaceWsAdapterOptions } from './surface-ws-adapter.js';
export { WsSurfaceSockets } from './ws-surface-socket.js';
