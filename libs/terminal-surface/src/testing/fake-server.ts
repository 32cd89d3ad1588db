import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import type { ClientFrame, ServerFrame } from '#libs/protocol';
import type { WebSocket } from 'ws';
import { WebSocketServer } from 'ws';
import { Arrivals } from './arrivals.js';

export const SESSION_ID = '7f3c1f4e-0b1d-4c7e-9a55-2f1f1f5a3c1b';

export interface FakeRequest {
  readonly path: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
}

export interface FakeAnswer {
  readonly status: number;
  readonly body: object;
}

/** A surface's connection as the server has it. */
export class FakeConnection {
  readonly frames = new Arrivals<ClientFrame>();
  /** The close code, once the connection is closed. */
  readonly closed: Promise<number>;

  constructor(
    private readonly socket: WebSocket,
    readonly path: string | undefined,
  ) {
    socket.on('message', (data: Buffer) => {
      this.frames.push(JSON.parse(data.toString()) as ClientFrame);
    });
    this.closed = new Promise((resolve) => {
      socket.on('close', (code) => resolve(code));
    });
  }

  send(frame: ServerFrame | object | string): void {
    this.socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame));
  }

  /** Waits for the attach, and accepts it. */
  async attach(token: string): Promise<ClientFrame> {
    const frame = await this.frames.next();
    this.send({
      type: 'SESSION_ATTACHED',
      session_id: SESSION_ID,
      surface_id: null,
      device_type: 'desktop',
      queued_turns: 0,
      mcp_tools_registered: [],
      sbp_version: '1.2',
      sbp_level: 'L5',
      session_token: token,
    });
    return frame;
  }

  close(code: number): void {
    this.socket.close(code);
  }

  /** As a connection breaks: without a close frame. */
  break(): void {
    this.socket.terminate();
  }
}

/** A server that does what a test says, on real sockets. */
export class FakeServer {
  readonly connections = new Arrivals<FakeConnection>();
  readonly requests = new Arrivals<FakeRequest>();
  /** What requests are answered with. */
  answer: FakeAnswer = { status: 200, body: {} };

  private constructor(
    private readonly http: Server,
    private readonly sockets: WebSocketServer,
  ) {
    sockets.on('connection', (socket, { url }) => {
      this.connections.push(new FakeConnection(socket, url));
    });
    http.on('request', (request, response) => void this.respond(request, response));
  }

  static async open(): Promise<FakeServer> {
    const http = createServer();
    const server = new FakeServer(http, new WebSocketServer({ server: http }));
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.http.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets.clients) socket.terminate();
    this.http.closeAllConnections();
    this.http.close();
    await once(this.http, 'close');
  }

  private async respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { url: path, headers } = request;
    const body = await json(request);
    const { status, body: answer } = this.answer;
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer));
    this.requests.push({ path, headers, body });
  }
}
