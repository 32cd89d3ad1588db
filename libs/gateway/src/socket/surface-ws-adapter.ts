import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ErrorCode } from '#libs/protocol';
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

/** Most sockets of one gateway; more are told to return later. */
const MAX_SOCKETS = 50_000;

export interface SurfaceWsAdapterOptions {
  /** Whether an upgrade's `Host` and `Origin` are acceptable; else it is answered with 403. */
  readonly accepts: (request: IncomingMessage) => boolean;
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
  private readonly sockets = new WebSocketServer(SOCKET_OPTIONS);
  private readonly onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    this.upgrade(request, socket, head);
  };

  constructor(app: INestApplication, { accepts }: SurfaceWsAdapterOptions) {
    super(app);
    this.server = app.getHttpServer() as Server;
    this.isWelcome = accepts;
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
      refuse(socket, 403, 'SBP_FORBIDDEN', 'Host or Origin is not allowed here.');
    } else if (sessionIdOf(request.url) === null) {
      refuse(socket, 404, 'SBP_INVALID_REQUEST', 'Surfaces connect to /v1/sbp/ws/{session_id}.');
    } else if (this.sockets.clients.size >= MAX_SOCKETS) {
      refuse(
        socket,
        503,
        'SBP_UPSTREAM_UNAVAILABLE',
        'This gateway has no room for another surface.',
      );
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

const REASONS = { 403: 'Forbidden', 404: 'Not Found', 503: 'Service Unavailable' } as const;

function refuse(
  socket: Duplex,
  status: keyof typeof REASONS,
  code: ErrorCode,
  message: string,
): void {
  const body = JSON.stringify(new SbpError(code, message).body('control'));
  const head = [
    `HTTP/1.1 ${status} ${REASONS[status]}`,
    'Connection: close',
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}
