import type { TrustedProxies } from '#libs/auth';
import { HEADERS } from '#libs/protocol';
import type { CurrentRequest } from '#libs/telemetry';
import type { TraceSpan, Tracing } from '#libs/telemetry';
import { withRequest } from '#libs/telemetry';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** Runs work for a request, so that logs and events can tell which one it was. */
export class RequestScope {
  private readonly current = new WeakMap<FastifyRequest, CurrentRequest>();
  private readonly spans = new WeakMap<FastifyRequest, TraceSpan>();

  constructor(
    private readonly proxies: TrustedProxies,
    private readonly tracing: Tracing,
  ) {}

  /** What is to be known of a request from now on. */
  begin(request: FastifyRequest, { raw }: FastifyReply): void {
    const onEnd = (listener: () => void): void => {
      if (raw.closed) listener();
      else raw.once('close', listener);
    };
    this.current.set(request, { ...this.describe(request), onEnd });
    if (this.tracing.isOn) this.trace(request, raw);
  }

  run<T>(request: FastifyRequest, work: () => T): T {
    const current = this.current.get(request) ?? this.describe(request);
    const span = this.tracing.isOn ? this.spans.get(request) : undefined;
    if (span === undefined) return withRequest(current, work);
    return this.tracing.within(span, () => withRequest(current, work));
  }

  /** Goes on with the trace of whoever sent the request. */
  private trace(request: FastifyRequest, raw: FastifyReply['raw']): void {
    const { method, headers, routeOptions } = request;
    const route = routeOptions.url ?? 'none';
    const parent = headers['traceparent'];
    const name = `${method} ${route}`;
    const span = this.tracing.begin(name, typeof parent === 'string' ? parent : undefined);
    this.spans.set(request, span);
    raw.once('close', () => {
      span.set({ 'http.route': route, 'http.response.status_code': raw.statusCode });
      span.end(raw.statusCode >= 500);
    });
  }

  private describe({ id: requestId, raw }: FastifyRequest): CurrentRequest {
    return { requestId, address: this.proxies.clientAddress(raw) };
  }
}

/** Puts the request's id on its answer, also on one that is written past the framework. */
export function nameRequest(request: FastifyRequest, reply: FastifyReply): void {
  if (!reply.raw.headersSent) reply.raw.setHeader(HEADERS.requestId, request.id);
}
