import type { IncomingMessage } from 'node:http';
import { TrustedProxies } from '#libs/auth';
import { Mailbox } from '#libs/mailbox';
import { LIMITS } from '#libs/protocol';
import { ProcessIdentity, SurfaceReads, ToolReads } from '#libs/store';
import { SurfaceMetrics, Tracing } from '#libs/telemetry';
import { within } from '#libs/timing';
import type { OnModuleDestroy } from '@nestjs/common';
import { Logger } from '@nestjs/common';
import type { OnGatewayConnection } from '@nestjs/websockets';
import { WebSocketGateway } from '@nestjs/websockets';
import type { RawData, WebSocket } from 'ws';
import type { IncomingFrame } from './client-frames.js';
import type { ConnectionParts, ConnectionWatcher } from '../attachment/surface-connection.js';
import { SurfaceConnection } from '../attachment/surface-connection.js';
import { SurfaceEvents } from '../attachment/surface-events.js';
import { SURFACE_PATH, sessionIdOf } from './surface-path.js';
import { SurfaceRegistry } from '../attachment/surface-registry.js';
import { SurfaceSockets } from './surface-socket.js';
import { SurfaceTimings } from '../surface-timings.js';

/** Where surfaces come in: gives each WebSocket its connection, and ends them all at a shutdown. */
@WebSocketGateway({ path: SURFACE_PATH, maxPayload: LIMITS.clientFrame })
export class SurfaceGateway implements OnGatewayConnection, OnModuleDestroy {
  private readonly logger = new Logger('SurfaceGateway');
  private readonly parts: ConnectionParts;
  private shuttingDown = false;

  constructor(
    private readonly registry: SurfaceRegistry,
    private readonly sockets: SurfaceSockets,
    private readonly timings: SurfaceTimings,
    private readonly proxies: TrustedProxies,
    events: SurfaceEvents,
    reads: SurfaceReads,
    tools: ToolReads,
    mailbox: Mailbox,
    identity: ProcessIdentity,
    metrics: SurfaceMetrics,
    tracing: Tracing,
  ) {
    metrics.holds(
      () => registry.connections().length,
      () => registry.attached().length,
    );
    this.parts = {
      events,
      timings,
      reads,
      tools,
      mailbox,
      gateway: identity.address,
      watcher: this.watcher(),
      metrics,
      tracing,
    };
  }

  handleConnection(client: WebSocket, request: IncomingMessage): void {
    const connection = new SurfaceConnection(
      sessionIdOf(request.url) ?? '',
      this.proxies.clientAddress(request),
      this.sockets.open(client),
      this.parts,
    );
    this.registry.open(connection);
    client.on('message', (data, isBinary) => {
      // A client that goes on sending after it was closed costs no more than the reading of it.
      if (!connection.hasClosed) connection.receive(incomingFrame(data, isBinary));
    });
    client.on('ping', (payload) => {
      if (!connection.hasClosed) connection.pinged(payload.byteLength);
    });
    client.on('pong', (payload) => {
      if (!connection.hasClosed) connection.pong(payload.toString());
    });
    client.on('close', (code) => {
      connection.closed(code);
    });
    // What is wrong with a client's frames it is told by the close code; the close follows.
    client.on('error', (error) => {
      this.logger.debug(`socket: ${error.message}`);
    });
    if (this.shuttingDown) void connection.shutDown();
  }

  /**
   * The log is still open now: the sockets are told to return at once, and the log that they left.
   */
  async onModuleDestroy(): Promise<void> {
    this.shuttingDown = true;
    const all = Promise.all(this.registry.connections().map((connection) => connection.shutDown()));
    if ((await within(all, this.timings.detach)) === 'late') {
      this.logger.warn('not every detach was acknowledged; the sessions service appends the rest');
    }
  }

  private watcher(): ConnectionWatcher {
    return {
      attached: (sync) => {
        this.registry.attach(sync);
      },
      detached: (sync) => {
        this.registry.detach(sync);
      },
      closed: (connection) => {
        this.registry.close(connection);
      },
      problem: (problem, error) => {
        this.logger.warn(`${problem}: ${String(error)}`);
      },
    };
  }
}

function incomingFrame(data: RawData, isBinary: boolean): IncomingFrame {
  const message = Array.isArray(data) ? Buffer.concat(data) : data;
  const text = Buffer.isBuffer(message)
    ? message.toString('utf8')
    : Buffer.from(message).toString('utf8');
  return { text: isBinary ? null : text, bytes: message.byteLength };
}
