import type { DynamicModule } from '@nestjs/common';
import { Module } from '@nestjs/common';
import { Sweep } from './sweep.js';
import { SurfaceFacts } from './surface-facts.js';
import { SurfaceInbox } from './surface-inbox.js';
import { SurfaceRegistry } from './surface-registry.js';
import { SurfaceSockets } from './surface-socket.js';
import { SurfaceTimings } from './surface-timings.js';
import { SurfaceGateway } from './surface.gateway.js';
import { WsSurfaceSockets } from './ws-surface-socket.js';

export interface GatewayModuleOptions {
  /** Other sockets than the WebSocket itself: tests decorate it. */
  readonly sockets?: SurfaceSockets;
  readonly timings?: SurfaceTimings;
}

/**
 * The gateway service. From global modules it takes EventLog, Mailbox, SurfaceReads, SessionReads, Freshness, ProcessIdentity
 * and SessionTokens; the log and the database must outlive `onModuleDestroy`. The application needs a `SurfaceWsAdapter`, and
 * whoever holds the process's mailbox passes its messages to `SurfaceInbox`.
 */
@Module({})
export class GatewayModule {
  static register({ sockets, timings }: GatewayModuleOptions = {}): DynamicModule {
    return {
      module: GatewayModule,
      providers: [
        { provide: SurfaceSockets, useValue: sockets ?? new WsSurfaceSockets() },
        { provide: SurfaceTimings, useValue: timings ?? new SurfaceTimings() },
        SurfaceRegistry,
        SurfaceFacts,
        SurfaceGateway,
        SurfaceInbox,
        Sweep,
      ],
      exports: [SurfaceInbox],
    };
  }
}
