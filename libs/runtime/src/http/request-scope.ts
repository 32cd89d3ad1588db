import { clientAddress } from '#libs/auth';
import { HEADERS } from '#libs/protocol';
import { withRequest } from '#libs/telemetry';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** Runs `work` for a request, so that logs and events can tell which one it was. */
export function inRequest<T>(request: FastifyRequest, work: () => T): T {
  return withRequest({ requestId: request.id, address: clientAddress(request.raw) }, work);
}

/** Puts the request's id on its answer, also on one that is written past the framework. */
export function nameRequest(request: FastifyRequest, reply: FastifyReply): void {
  if (!reply.raw.headersSent) reply.raw.setHeader(HEADERS.requestId, request.id);
}
