import type { TrustedProxies } from '#libs/auth';
import { HEADERS } from '#libs/protocol';
import type { CurrentRequest } from '#libs/telemetry';
import { withRequest } from '#libs/telemetry';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** Runs work for a request, so that logs and events can tell which one it was. */
export class RequestScope {
  private readonly current = new WeakMap<FastifyRequest, CurrentRequest>();

  constructor(private readonly proxies: TrustedProxies) {}

  /** What is to be known of a request from now on. */
  begin(request: FastifyRequest, { raw }: FastifyReply): void {
    const onEnd = (listener: () => void): void => void raw.once('close', listener);
    this.current.set(request, { ...this.describe(request), onEnd });
  }

  run<T>(request: FastifyRequest, work: () => T): T {
    return withRequest(this.current.get(request) ?? this.describe(request), work);
  }

  private describe({ id: requestId, raw }: FastifyRequest): CurrentRequest {
    return { requestId, address: this.proxies.clientAddress(raw) };
  }
}

/** Puts the request's id on its answer, also on one that is written past the framework. */
export function nameRequest(request: FastifyRequest, reply: FastifyReply): void {
  if (!reply.raw.headersSent) reply.raw.setHeader(HEADERS.requestId, request.id);
}
