import type { DynamicModule } from '@nestjs/common';
import { Module } from '@nestjs/common';
import { Metrics, SurfaceMetrics } from '#libs/telemetry';
import { AttachedTools, CallWatch, SessionPokes } from '#libs/tools';
import { ClientCalls } from './mcp/client-calls.js';
import { McpEndpoint } from './mcp/mcp-endpoint.js';
import { McpController } from './mcp/mcp.controller.js';
import { ToolChanges } from './mcp/tool-changes.js';
import { Sweep } from './sync/sweep.js';
import { SurfaceEvents } from './attachment/surface-events.js';
import { SurfaceInbox } from './attachment/surface-inbox.js';
import { SurfaceRegistry } from './attachment/surface-registry.js';
import { SurfaceSockets } from './socket/surface-socket.js';
import { SurfaceTimings } from './surface-timings.js';
import { SurfaceGateway } from './socket/surface.gateway.js';
import { WsSurfaceSockets } from './socket/ws-surface-socket.js';

export interface GatewayModuleOptions {
  /** Other sockets than the WebSocket itself: tests decorate it. */
  readonly sockets?: SurfaceSockets;
  readonly timings?: SurfaceTimings;
  /** Most sockets of one session. */
  readonly maxSessionSockets: number;
}

/**
 * The gateway service. From global modules it takes EventLog, Mailbox, SurfaceReads, ToolReads,
 * SessionReads, Freshness, ProcessIdentity, SessionAccess, SessionTokens, Metrics and Tracing; the
 * log and the database must outlive `onModuleDestroy`. The application needs a `SurfaceWsAdapter`,
 * and whoever holds the process's mailbox passes its messages to `SurfaceInbox`.
 */
@Module({})
export class GatewayModule {
  static register({ sockets, timings, maxSessionSockets }: GatewayModuleOptions): DynamicModule {
    return {
      module: GatewayModule,
      controllers: [McpController],
      providers: [
        { provide: SurfaceSockets, useValue: sockets ?? new WsSurfaceSockets() },
        { provide: SurfaceTimings, useValue: timings ?? new SurfaceTimings() },
        AttachedTools,
        CallWatch,
        ClientCalls,
        McpEndpoint,
        SessionPokes,
        {
          provide: SurfaceRegistry,
          useFactory: () => new SurfaceRegistry(maxSessionSockets),
        },
        {
          provide: SurfaceMetrics,
          useFactory: (metrics: Metrics) => new SurfaceMetrics(metrics),
          inject: [Metrics],
        },
        SurfaceEvents,
        SurfaceGateway,
        SurfaceInbox,
        Sweep,
        ToolChanges,
      ],
      exports: [SurfaceInbox],
    };
  }
}
