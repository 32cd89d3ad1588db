import type { TrustedProxies } from '#libs/auth';
import { HEADERS } from '#libs/protocol';
import { withRequest } from '#libs/telemetry';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** Runs work for a request, so that logs and events can tell which one it was. */
export class RequestScope {
  constructor(private readonly proxies: TrustedProxies) {}

  run<T>({ id: requestId, raw }: FastifyRequest, work: () => T): T {
    return withRequest({ requestId, address: this.proxies.clientAddress(raw) }, work);
  }
}

/** Puts the request's id on its answer, also on one that is written past the framework. */
export function nameRequest(request: FastifyRequest, reply: FastifyReply): void {
  if (!reply.raw.headersSent) reply.raw.setHeader(HEADERS.requestId, request.id);
}
