import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createLogger } from '#libs/telemetry';
import type { Logger } from '#libs/telemetry';
import type { Decorators } from './components.js';
import { addressOf, announceWhenReady } from '../health/announce.js';
import { FastifyEdge } from '../http/fastify-edge.js';
import type { ServiceSpec } from './service.js';
import { createService } from './service.js';
import { closeOnSignals } from './shutdown.js';
import type { Settings } from '../settings/settings.js';
import { InvalidSettings, parseSettings } from '../settings/settings.js';

/**
 * Runs a server as this process: settings from the environment and `argv`, until a signal ends it.
 * What cannot start says why on stderr and exits with 1.
 */
export async function runService(
  describe: (settings: Settings) => ServiceSpec,
  argv: readonly string[] = process.argv.slice(2),
  { decorators, onListening }: RunServiceOptions = {},
): Promise<void> {
  try {
    const settings = parseSettings(process.env, argv);
    const spec = describe(settings);
    let app: NestFastifyApplication | null = null;
    const address = (): string => settings.publicUrl ?? (app === null ? '' : addressOf(app));
    app = await createService(spec, settings, address, decorators);
    await listen(app, settings, createLogger(spec.name, settings.logLevel));
    onListening?.(app, settings);
  } catch (error) {
    process.stderr.write(`${startProblem(error)}\n`);
    process.exit(1);
  }
}

export interface RunServiceOptions {
  readonly decorators?: Decorators;
  /** Called when the server is ready. */
  readonly onListening?: (app: NestFastifyApplication, settings: Settings) => void;
}

/** Long enough for a proxy that sends requests at all to meet a refusal, in ms. */
const REFUSE_MS = 300;

/** Listens, says so once the application is ready, and closes it on signals. */
async function listen(
  app: NestFastifyApplication,
  { host, port }: Settings,
  logger: Logger,
): Promise<void> {
  const edge = app.getHttpAdapter();
  if (edge instanceof FastifyEdge) edge.refuseAtLeast(REFUSE_MS);
  const closing = closeOnSignals(app, logger);
  await app.listen(port, host);
  await announceWhenReady(app, closing);
}

/** An expected problem is told in its own words, without a stack. */
export function startProblem(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof InvalidSettings) return error.message;
  if (EXPECTED.includes(error.name)) return error.message;
  return listenProblem(error) ?? error.stack ?? error.message;
}

const EXPECTED = [
  'CommandProblem',
  'UnusableKeys',
  'UnusableSecret',
  'UnusableDataDirectory',
  'DirectoryInUse',
  'TopicMismatch',
];

/** Why an address could not be listened on; null for another error. */
function listenProblem(error: Error): string | null {
  const { code, syscall, address = '', port = '' } = error as ListenError;
  if (syscall !== 'listen') return null;
  const where = `Port ${port} of ${address}`;
  switch (code) {
    case 'EADDRINUSE':
      return `${where} is in use by another program (EADDRINUSE). End it, or choose another port with --port.`;
    case 'EACCES':
      return `${where} may not be used by this user (EACCES). Choose another with --port: those from 1024 on need no permission.`;
    case 'EADDRNOTAVAIL':
      return `${address} is no address of this machine (EADDRNOTAVAIL). Choose another with --host.`;
    default:
      return null;
  }
}

interface ListenError extends NodeJS.ErrnoException {
  readonly address?: string;
  readonly port?: number;
}
