import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { LIMITS, SbpError } from '#libs/protocol';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { ErrorFilter } from './error-filter.js';
import { foreignRequest } from './http-guard.js';

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
 * Fastify as all our servers use it: bodies arrive as bytes of at most `LIMITS.requestBody`,
 * foreign hosts and origins are refused before anything is read, and from `beforeClose` on nothing
 * new is begun.
 */
export class FastifyEdge extends FastifyAdapter {
  private closing = false;

  constructor(allowedOrigins: readonly string[], filter: ErrorFilter) {
    const guard = (request: FastifyRequest): SbpError | null => {
      const foreign = foreignRequest(request.raw.headers, allowedOrigins);
      if (foreign !== null || !this.closing || request.url === LIVENESS) return foreign;
      return new SbpError('SBP_UPSTREAM_UNAVAILABLE', 'The server is shutting down.', {
        retryAfter: 1,
      });
    };
    super({
      bodyLimit: LIMITS.requestBody,
      keepAliveTimeout: KEEP_ALIVE_MS,
      requestTimeout: RECEIVE_MS,
      forceCloseConnections: true,
      routerOptions: { maxParamLength: LONGEST_PATH_SEGMENT },
      skipMiddie: true,
      // What the router refuses itself passes no hook.
      frameworkErrors: (error: FastifyError, request: FastifyRequest, reply: FastifyReply) => {
        filter.answer(guard(request) ?? error, request, reply);
      },
      clientErrorHandler: answerBrokenRequest,
    });
    this.setOnRequestHook(
      (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void) => {
        const refusal = guard(request);
        if (this.closing) void reply.header('connection', 'close');
        if (refusal === null) done();
        else done(refusal);
      },
    );
    const fastify = this.getInstance();
    fastify.removeAllContentTypeParsers();
    fastify.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) =>
      done(null, body),
    );
  }

  /** Stops accepting; what is being answered goes on until `close`. */
  override beforeClose(): void {
    super.beforeClose();
    this.closing = true;
    this.getHttpServer().close();
  }
}

/** Answers bytes that are no HTTP request. */
function answerBrokenRequest(error: Error & { readonly code?: string }, socket: Socket): void {
  // A socket that is gone, or that is in the middle of an answer, cannot be told.
  const { _httpMessage: answering } = socket as Socket & { readonly _httpMessage?: ServerResponse };
  if (error.code !== 'ECONNRESET' && socket.writable && answering?.headersSent !== true) {
    const status = STATUS_OF_PARSE_ERROR[error.code ?? ''] ?? '400 Bad Request';
    const body = JSON.stringify(
      new SbpError('SBP_INVALID_REQUEST', `Not an HTTP request: ${error.message}`).body('control'),
    );
    socket.write(
      `HTTP/1.1 ${status}\r\ncontent-type: application/json; charset=utf-8\r\nx-should-retry: false\r\n` +
        `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    );
  }
  socket.destroySoon();
}

const STATUS_OF_PARSE_ERROR: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
};
