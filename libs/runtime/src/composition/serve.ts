import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Logger } from '#libs/telemetry';
import { announceWhenReady } from '../health/announce.js';
import { FastifyEdge } from '../http/fastify-edge.js';
import type { Settings } from '../settings/settings.js';
import { closeOnSignals } from './shutdown.js';

/** Long enough for a proxy that sends requests at all to meet a refusal. */
const REFUSE_MS = 300;

/**
 * Runs an application as a service until it is told to end: listens, says so once it is ready,
 * closes on signals.
 */
export async function serve(
  app: NestFastifyApplication,
  { host, port }: Pick<Settings, 'host' | 'port'>,
  logger: Logger,
): Promise<void> {
  const edge = app.getHttpAdapter();
  if (edge instanceof FastifyEdge) edge.refuseAtLeast(REFUSE_MS);
  const closing = closeOnSignals(app, logger);
  await app.listen(port, host);
  await announceWhenReady(app, closing);
}
