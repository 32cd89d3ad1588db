import { once } from 'node:events';
import type { IncomingMessage, Server as HttpServer, ServerResponse } from 'node:http';
import { Server as NetServer } from 'node:net';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { HEADERS, SbpError } from '#libs/protocol';
import type { HttpMetrics } from '#libs/telemetry';
import { requestIdOf } from '#libs/telemetry';
import { pause, within } from '#libs/timing';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { ErrorFilter } from './error-filter.js';
import type { EdgeSettings } from './http-guard.js';
import { foreignRequest } from './http-guard.js';
import { requestBody } from './request-body.js';
import type { RequestScope } from './request-scope.js';
import { nameRequest } from './request-scope.js';

/**
 * Longer than the idle time of common proxies, so that they, not we, close a connection that they
 * keep.
 */
const KEEP_ALIVE_MS = 75_000;

/** How long a request may take to arrive; an answer may stream for as long as it likes. */
const RECEIVE_MS = 300_000;

/** A roaming token is a path segment. */
const LONGEST_PATH_SEGMENT = 8192;

const LIVENESS = '/health/live';

/**
 * Fastify as all our servers use it: bodies arrive as `requestBody` says, foreign hosts and origins
 * are refused before anything is read, and every request has an id.
 *
 * From `beforeClose` on nothing new is begun, while what was begun goes on. Connections are still
 * taken until `close`: each request on them is refused with 503 and `x-sbp-draining: 1`, so that a
 * proxy knows that this request was not begun, and may send it to another replica.
 */
export class FastifyEdge extends FastifyAdapter {
  private closing = false;
  private closingSince = 0;
  private refusingMs = 0;
  private requests = 0;

  constructor(
    private readonly settings: EdgeSettings,
    scope: RequestScope,
    filter: ErrorFilter,
    metrics: HttpMetrics | null,
  ) {
    const guard = (request: FastifyRequest, reply: FastifyReply): SbpError | null => {
      if (this.closing) reply.raw.setHeader('connection', 'close');
      const foreign = foreignRequest(request.raw.headers, settings);
      if (foreign !== null || !this.closing || request.url === LIVENESS) return foreign;
      reply.raw.setHeader(HEADERS.draining, '1');
      return shuttingDown();
    };
    super({
      genReqId: ({ headers }: IncomingMessage) => requestIdOf(headers[HEADERS.requestId]),
      keepAliveTimeout: KEEP_ALIVE_MS,
      requestTimeout: RECEIVE_MS,
      forceCloseConnections: true,
      routerOptions: { maxParamLength: LONGEST_PATH_SEGMENT },
      skipMiddie: true,
      // What the router refuses itself passes no hook.
      frameworkErrors: (error: FastifyError, request: FastifyRequest, reply: FastifyReply) => {
        filter.answer(guard(request, reply) ?? error, request, reply);
      },
      clientErrorHandler: answerBrokenRequest,
    });
    this.setOnRequestHook(
      (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void) => {
        nameRequest(request, reply);
        scope.begin(request, reply);
        if (metrics !== null) measure(metrics, request, reply);
        const refusal = guard(request, reply) ?? this.noRoom(request, reply);
        if (refusal === null) allowPrivateNetwork(request, reply);
        scope.run(request, () => {
          if (refusal === null) done();
          else done(refusal);
        });
      },
    );
    const fastify = this.getInstance();
    // A body's end is an event of the connection, which knows no request: so it is said again.
    fastify.addHook('preValidation', (request, _reply, done) => scope.run(request, done));
    fastify.removeAllContentTypeParsers();
    fastify.addContentTypeParser('*', (_request: FastifyRequest, body: IncomingMessage) =>
      requestBody(body),
    );
  }

  /**
   * Counts a request until it has been answered; what is too much for this process is refused
   * before its body is read. Supervisors are always answered.
   */
  private noRoom({ url }: FastifyRequest, { raw }: FastifyReply): SbpError | null {
    if (url.startsWith('/health') || url === '/metrics') return null;
    const { requests: most } = this.settings.limits;
    if (this.requests >= most) {
      const message = `${most} requests are being answered here already. Try later.`;
      return new SbpError('SBP_UPSTREAM_UNAVAILABLE', message, { retryAfter: 1 });
    }
    this.requests += 1;
    raw.once('close', () => (this.requests -= 1));
    return null;
  }

  /** Begins nothing new; what is being answered goes on until `close`. */
  override beforeClose(): void {
    super.beforeClose();
    this.closing = true;
    this.closingSince = performance.now();
    const server = this.getHttpServer();
    if (server.listenerCount('upgrade') > 0)
      server.removeAllListeners('upgrade').on('upgrade', refuseUpgrade);
  }

  /**
   * Makes `close` end at least `ms` after `beforeClose`, so that proxies meet a refusal, and not a
   * connection that breaks: of that they could not tell whether their request was begun.
   */
  refuseAtLeast(ms: number): void {
    this.refusingMs = ms;
  }

  override async close(): Promise<void> {
    const leftMs = this.closingSince + this.refusingMs - performance.now();
    if (leftMs > 0) await pause(leftMs);
    await this.answerTheLast();
    await super.close();
  }

  /**
   * Takes no more connections, and gives those that were taken a moment to be answered, so that
   * none is broken off without a word. Node's own `close` would at once end a connection whose
   * request is still on its way.
   */
  private async answerTheLast(): Promise<void> {
    const server: HttpServer = this.getHttpServer();
    if (!server.listening) return;
    const closed = once(server, 'close');
    NetServer.prototype.close.call(server);
    await within(closed, LAST_ANSWERS_MS);
  }
}

function measure(metrics: HttpMetrics, request: FastifyRequest, { raw }: FastifyReply): void {
  const begunAt = performance.now();
  const { method, routeOptions } = request;
  metrics.begun();
  raw.once('close', () => {
    metrics.ended(routeOptions.url, method, raw.statusCode, performance.now() - begunAt);
  });
}

/** A browser asks before a page of a public site may reach this machine; the guard let it pass. */
function allowPrivateNetwork({ headers, method }: FastifyRequest, reply: FastifyReply): void {
  if (method === 'OPTIONS' && headers['access-control-request-private-network'] === 'true')
    void reply.header('access-control-allow-private-network', 'true');
}

/** How long connections that were taken last may go on, in ms. */
const LAST_ANSWERS_MS = 250;

function shuttingDown(): SbpError {
  return new SbpError('SBP_UPSTREAM_UNAVAILABLE', 'The server is shutting down.', {
    retryAfter: 1,
  });
}

function refuseUpgrade({ headers }: IncomingMessage, socket: Duplex): void {
  const requestId = requestIdOf(headers[HEADERS.requestId]);
  const refusal = shuttingDown();
  socket.on('error', () => undefined);
  socket.end(
    rawAnswer('503 Service Unavailable', refusal.body('control', requestId), {
      ...refusal.headers(),
      [HEADERS.requestId]: requestId,
      [HEADERS.draining]: '1',
    }),
  );
}

/** An answer as bytes, for a connection that the framework does not serve; it ends with it. */
function rawAnswer(status: string, body: object, headers: Record<string, string>): string {
  const text = JSON.stringify(body);
  const lines = Object.entries({
    ...headers,
    'content-type': 'application/json; charset=utf-8',
    'content-length': String(Buffer.byteLength(text)),
    connection: 'close',
  }).map(([name, value]) => `${name}: ${value}`);
  return [`HTTP/1.1 ${status}`, ...lines, '', text].join('\r\n');
}

/** Answers bytes that are no HTTP request. */
function answerBrokenRequest(error: Error & { readonly code?: string }, socket: Socket): void {
  // A socket that is gone, or that is in the middle of an answer, cannot be told.
  const { _httpMessage: answering } = socket as Socket & { readonly _httpMessage?: ServerResponse };
  if (error.code !== 'ECONNRESET' && socket.writable && answering?.headersSent !== true) {
    const status = STATUS_OF_PARSE_ERROR[error.code ?? ''] ?? '400 Bad Request';
    const refusal = new SbpError('SBP_INVALID_REQUEST', `Not an HTTP request: ${error.message}`);
    const headers = { ...refusal.headers(), [HEADERS.requestId]: requestIdOf(undefined) };
    socket.write(rawAnswer(status, refusal.body('control'), headers));
  }
  socket.destroySoon();
}

const STATUS_OF_PARSE_ERROR: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
};
