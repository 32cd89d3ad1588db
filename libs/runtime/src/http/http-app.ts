import type { DynamicModule, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { TrustedProxies, checkOrigin } from '#libs/auth';
import { HEADERS } from '#libs/protocol';
import { NO_TRACING, NestLogger } from '#libs/telemetry';
import type { HttpMetrics, Logger, Tracing } from '#libs/telemetry';
import { ErrorFilter } from './error-filter.js';
import { FastifyEdge } from './fastify-edge.js';
import { RequestScope } from './request-scope.js';
import type { EdgeSettings } from './http-guard.js';

/** Who is told of the requests that come in. */
export interface EdgeTelemetry {
  readonly metrics: HttpMetrics | null;
  readonly tracing: Tracing;
}

/**
 * A Nest application on the HTTP edge that all our servers share: `Host` and `Origin` checks, CORS
 * for the origins that may, bodies as bytes (`@Body() body: Buffer | undefined`, for
 * `parseJsonBody`), errors in the contract's form. It is not initialised: adapters for WebSockets
 * and microservices may still be set.
 */
export async function createHttpApp(
  rootModule: Type | DynamicModule,
  settings: EdgeSettings,
  logger: Logger,
  { metrics, tracing }: EdgeTelemetry = { metrics: null, tracing: NO_TRACING },
): Promise<NestFastifyApplication> {
  const { allowedOrigins } = settings;
  const scope = new RequestScope(new TrustedProxies(settings.trustedProxies), tracing);
  const filter = new ErrorFilter(logger, scope);
  const edge = new FastifyEdge(settings, scope, filter, metrics);
  const options = {
    abortOnError: false,
    bodyParser: false,
    forceCloseConnections: true,
    logger: new NestLogger(logger),
  };
  const app = await NestFactory.create<NestFastifyApplication>(rootModule, edge, options);
  app.useGlobalFilters(filter);
  app.enableCors({
    origin: (origin, allow) =>
      allow(null, origin !== undefined && checkOrigin(origin, allowedOrigins)),
    // The headers that a page asks for are allowed as they are: official clients add their own.
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    exposedHeaders: [
      HEADERS.sessionToken,
      HEADERS.sessionId,
      HEADERS.requestId,
      HEADERS.contextTurnsOmitted,
      'retry-after',
      'x-should-retry',
    ],
    maxAge: 600,
  });
  return app;
}
