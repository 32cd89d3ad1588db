import type { DynamicModule } from '@nestjs/common';
import { Module } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { EventLogTransport } from '#libs/event-log';
import type { Inbox, MailboxMessage } from '#libs/mailbox';
import type { Schema } from '#libs/sql';
import { PROJECTOR } from '#libs/store';
import { ConsumerLagMetrics, HttpMetrics, createLogger } from '#libs/telemetry';
import type { Components, Decorators } from './components.js';
import { ComponentsModule, openComponents } from './components.js';
import { HealthModule } from '../health/health.module.js';
import { createHttpApp } from '../http/http-app.js';
import { ReadinessCheck } from '../health/readiness.js';
import type { Settings } from '../settings/settings.js';
import { ConsumerLag } from '../telemetry/consumer-lag.js';
import { TelemetryModule } from '../telemetry/telemetry.module.js';

/** What one kind of server is made of. */
export interface ServiceSpec {
  readonly name: string;
  readonly modules: (components: Components, address: () => string) => readonly DynamicModule[];
  /** Wires what Nest modules cannot: a WebSocket adapter. */
  readonly prepare?: (app: NestFastifyApplication) => void;
  /** Whether it reads the log (`@LogConsumer`). */
  readonly reads: boolean;
  /** Tables of its own, which no other service reads. */
  readonly tables?: Schema;
  /** What it does with the messages of its mailbox. */
  readonly onMessage?: (app: NestFastifyApplication) => (message: MailboxMessage) => void;
}

/**
 * Records in one batch of a reader: short transactions, so that others wait little for the read
 * models.
 */
const BATCH_SIZE = 200;

/** How long one wait for the fold takes at most, in ms; another follows. */
const FOLD_LOOK_MS = 60_000;

const STILL_QUARANTINED = 'A session stays quarantined: see sbp-server quarantine';

@Module({})
class ServiceModule {}

/** Ready when a question is answered. */
class Works extends ReadinessCheck {
  constructor(
    readonly name: string,
    private readonly ask: () => Promise<unknown>,
  ) {
    super();
  }

  async check(): Promise<void> {
    await this.ask();
  }
}

/** Builds a server: storage, HTTP edge, services, readers. It does not listen yet. */
export async function createService(
  spec: ServiceSpec,
  settings: Settings,
  address: () => string,
  decorators: Decorators = {},
): Promise<NestFastifyApplication> {
  const logger = createLogger(spec.name, settings.logLevel);
  const { name, tables } = spec;
  const options = { name, decorators, ...(tables === undefined ? {} : { tables }) };
  const components = await openComponents(settings, options, logger);
  const { storage, log, positions, progress, metrics, tracing } = components;
  const checks = [
    new Works('log', () => log.check()),
    new Works('read models', () => positions.load(PROJECTOR, 0)),
  ];
  const root: DynamicModule = {
    module: ServiceModule,
    imports: [
      ComponentsModule.register(components),
      HealthModule.register({ backend: storage.description, checks, logger }),
      TelemetryModule,
      ...spec.modules(components, address),
    ],
  };
  const http = { metrics: new HttpMetrics(metrics), tracing };
  const app = await createHttpApp(root, settings, logger, http);
  spec.prepare?.(app);
  if (spec.reads) {
    const strategy = new EventLogTransport({
      log,
      database: storage.database,
      positions,
      batchSize: BATCH_SIZE,
      onProblem: (problem, error) => logger.error({ err: error }, problem),
      onCommitted: ({ consumer, partition, next }) => {
        if (consumer === PROJECTOR) progress.advanced(partition, next);
      },
      // This version may know more than the one that quarantined them [A12].
      onAssigned: async (consumer, partition) => {
        if (consumer === PROJECTOR) await retryQuarantined(components, partition);
      },
    });
    app.connectMicroservice({ strategy });
    const lag = new ConsumerLag(log, positions);
    new ConsumerLagMetrics(metrics, () => lag.of(strategy.consumers));
  }
  await app.init();
  if (spec.reads) await app.startAllMicroservices();
  // After a power cut claims and read models may be older than the log: they are believed only when
  // the fold has caught up with it.
  if (storage.exclusive && spec.reads) await foldedToTheEnd(components);
  await receive(spec, components, app);
  return app;
}

async function foldedToTheEnd({ log, progress }: Components): Promise<void> {
  for (let partition = 0; partition < log.partitions; partition++) {
    const last = (await log.end(partition)) - 1;
    while (!(await progress.reached(partition, last, FOLD_LOOK_MS)));
  }
}

async function retryQuarantined(
  { quarantine, logger }: Components,
  partition: number,
): Promise<void> {
  await quarantine.retryPartition(partition, (session, outcome) => {
    if (outcome.type === 'folded')
      logger.info({ session }, 'A quarantined session is served again');
    if (outcome.type === 'held') logger.error({ session, ...outcome.fault }, STILL_QUARANTINED);
  });
}

/** Takes the process' mailbox: messages sent from now on arrive. */
async function receive(
  spec: ServiceSpec,
  components: Components,
  app: NestFastifyApplication,
): Promise<Inbox | null> {
  const { presence, storage } = components;
  if (spec.onMessage === undefined) return null;
  return storage.mailbox.receive(presence.identity.address, spec.onMessage(app));
}
