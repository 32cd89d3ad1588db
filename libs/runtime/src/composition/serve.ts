import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Logger } from '#libs/telemetry';
import { announceWhenReady } from '../health/announce.js';
import type { Settings } from '../settings/settings.js';
import { closeOnSignals } from './shutdown.js';

/**
 * Runs an application as a service until it is told to end: listens, says so once it is ready,
 * closes on signals.
 */
export async function serve(
  app: NestFastifyApplication,
  { host, port }: Pick<Settings, 'host' | 'port'>,
  logger: Logger,
): Promise<void> {
  const closing = closeOnSignals(app, logger);
  await app.listen(port, host);
  await announceWhenReady(app, closing);
}
