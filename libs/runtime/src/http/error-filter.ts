import type { IncomingMessage, ServerResponse } from 'node:http';
import { Catch } from '@nestjs/common';
import type { ArgumentsHost, ExceptionFilter } from '@nestjs/common';
import { Faults } from '#libs/telemetry';
import type { Logger } from '#libs/telemetry';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { answerTo } from './error-answer.js';
import type { ErrorAnswer } from './error-answer.js';
import type { RequestScope } from './request-scope.js';
import { nameRequest } from './request-scope.js';

/** How long the rest of a refused body is read. */
const READ_ON_MS = 10_000;

/** Answers every failed HTTP request in the contract's form. */
@Catch()
export class ErrorFilter implements ExceptionFilter {
  private readonly faults: Faults;

  constructor(
    private readonly logger: Logger,
    private readonly scope: RequestScope,
  ) {
    this.faults = new Faults(logger);
  }

  catch(error: unknown, host: ArgumentsHost): void {
    // Readers of the log get the fault itself: an offset must not move past it.
    if (host.getType() !== 'http') throw error;
    const http = host.switchToHttp();
    this.answer(error, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
  }

  answer(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
    this.scope.run(request, () => this.answerFailed(error, request, reply));
  }

  private answerFailed(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const { method, url, id: requestId } = request;
    nameRequest(request, reply);
    if (reply.sent || reply.raw.headersSent) {
      this.faults.report('A request failed after its answer had begun', error, { method, url });
      // Nobody will finish it; a stream that cannot be finished is broken off, never ended.
      if (!reply.raw.writableEnded) reply.raw.destroy();
      return;
    }
    if (request.raw.errored !== null) {
      this.logger.debug({ method, url }, 'A caller went away while it sent its request');
      reply.hijack();
      reply.raw.destroy();
      return;
    }
    const answer = answerTo(error, { method, url, requestId });
    if (answer.unforeseen) this.faults.report('A request failed', error, { method, url });
    else if (answer.status >= 500)
      this.logger.warn({ err: error, method, url }, 'A request could not be served');
    else this.logger.debug({ err: error, method, url }, 'A request was refused');
    if (isSending(request.raw)) {
      reply.hijack();
      answerSender(reply.raw, answer);
      return;
    }
    for (const name of ['content-length', 'content-encoding', 'transfer-encoding'])
      reply.removeHeader(name);
    void reply.status(answer.status).headers(answer.headers).send(answer.body);
  }
}

function isSending({ complete, headers }: IncomingMessage): boolean {
  // A request without a body is not complete yet either when the hooks run.
  return (
    !complete &&
    (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0)
  );
}

/**
 * Answers a caller that is still sending. If we closed the connection now it would see a reset, and
 * could lose the answer: so the answer goes out at once, and ends when the rest of the body was
 * read and dropped.
 */
function answerSender(response: ServerResponse, { status, headers, body }: ErrorAnswer): void {
  const { req: request } = response;
  const text = JSON.stringify(body);
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(text) }).write(text);
  const timer = setTimeout(() => request.destroy(), READ_ON_MS);
  const end = (): void => {
    clearTimeout(timer);
    if (!response.writableEnded) response.end();
  };
  request.once('end', end).once('close', end).resume();
}
