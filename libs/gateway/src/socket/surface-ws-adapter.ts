import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { LIMITS, SbpError } from '#libs/protocol';
import type { INestApplication } from '@nestjs/common';
import { WsAdapter } from '@nestjs/platform-ws';
import { WebSocketServer } from 'ws';
import { sessionIdOf } from './surface-path.js';

/**
 * The types of `ws` do not know `closeTimeout` yet: how long a client that was told to close may
 * take, in ms. Until then what it sends is still read.
 */
const SOCKET_OPTIONS = {
  noServer: true,
  maxPayload: LIMITS.clientFrame,
  perMessageDeflate: false,
  closeTimeout: 5_000,
};

export interface SurfaceWsAdapterOptions {
  /** Whether an upgrade's `Host` and `Origin` are acceptable; else it is answered with 403. */
  readonly accepts: (request: IncomingMessage) => boolean;
  /** Most sockets of this gateway; more are told to return later. */
  readonly maxSockets: number;
}

/**
 * Nest's way to the surfaces' WebSockets, on the HTTP server that the application already has. It
 * decides upgrades itself: the stock adapter knows no path parameters, destroys what it does not
 * know, and keeps no order among a client's frames. Frames are not its business: the gateway takes
 * them from the socket, in order.
 */
export class SurfaceWsAdapter extends WsAdapter {
  private readonly server: Server;
  private readonly isWelcome: SurfaceWsAdapterOptions['accepts'];
  private readonly maxSockets: number;
  private readonly sockets = new WebSocketServer(SOCKET_OPTIONS);
  private readonly onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    this.upgrade(request, socket, head);
  };

  constructor(app: INestApplication, { accepts, maxSockets }: SurfaceWsAdapterOptions) {
    super(app);
    this.server = app.getHttpServer() as Server;
    this.isWelcome = accepts;
    this.maxSockets = maxSockets;
  }

  override create(): WebSocketServer {
    this.server.on('upgrade', this.onUpgrade);
    // With an upgrade listener Node would hand it every request that offers an upgrade, also those
    // that some HTTP clients offer to HTTP/2: these go on as what they are.
    Object.assign(this.server, { shouldUpgradeCallback: offersWebSocket });
    return this.sockets;
  }

  /** The gateway reads its sockets itself. */
  override bindMessageHandlers(): void {
    // Nest calls it for each client.
  }

  override dispose(): Promise<void> {
    this.server.off('upgrade', this.onUpgrade);
    return super.dispose();
  }

  private upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', ignoreReset);
    if (!this.isWelcome(request)) {
      refuse(socket, 403, new SbpError('SBP_FORBIDDEN', 'Host or Origin is not allowed here.'));
    } else if (sessionIdOf(request.url) === null) {
      const problem = 'Surfaces connect to /v1/sbp/ws/{session_id}.';
      refuse(socket, 404, new SbpError('SBP_INVALID_REQUEST', problem));
    } else if (this.sockets.clients.size >= this.maxSockets) {
      const problem = 'This gateway has no room for another surface.';
      const options = { retryAfter: FULL_RETRY_S };
      refuse(socket, 503, new SbpError('SBP_UPSTREAM_UNAVAILABLE', problem, options));
    } else {
      socket.off('error', ignoreReset);
      this.sockets.handleUpgrade(request, socket, head, (client) => {
        this.sockets.emit('connection', client, request);
      });
    }
  }
}

function offersWebSocket(request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === 'websocket';
}

/** A client that goes away while it is being refused. */
function ignoreReset(): void {
  // Nothing is lost: it was to be closed.
}

/** When a surface that found no room may return, in s. */
const FULL_RETRY_S = 5;

const REASONS = { 403: 'Forbidden', 404: 'Not Found', 503: 'Service Unavailable' } as const;

function refuse(socket: Duplex, status: keyof typeof REASONS, refusal: SbpError): void {
  const body = JSON.stringify(refusal.body('control'));
  const head = [
    `HTTP/1.1 ${status} ${REASONS[status]}`,
    'Connection: close',
    ...Object.entries(refusal.headers()).map(([name, value]) => `${name}: ${value}`),
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}
