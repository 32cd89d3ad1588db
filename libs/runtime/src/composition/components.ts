import { randomUUID } from 'node:crypto';
import type { DynamicModule, OnApplicationShutdown, Provider } from '@nestjs/common';
import { Global, Inject, Module } from '@nestjs/common';
import { RequestLoad, SessionAccess } from '#libs/access';
import { Principals, SessionTokens, TrustedProxies, loadSecret } from '#libs/auth';
import { ConsumerPositions, EventLog } from '#libs/event-log';
import {
  ChatModel,
  ContextTokens,
  DemoModel,
  ModelApi,
  OpenAiCompatibleModel,
  PriceList,
} from '#libs/llm';
import { Mailbox } from '#libs/mailbox';
import { Maintenance, SessionLog, SessionReleases } from '#libs/session-log';
import type { Schema } from '#libs/sql';
import { Database } from '#libs/sql';
import {
  Claims,
  ExportReads,
  Freshness,
  Heartbeat,
  Lineage,
  Orphans,
  PROJECTOR,
  ProcessIdentity,
  Processes,
  Projection,
  ProjectionProgress,
  Promises,
  Quarantine,
  QueueHeads,
  SessionList,
  SessionReads,
  Snapshots,
  SurfaceReads,
  ToolReads,
  Transcripts,
  TurnEnds,
  TurnKeys,
  UnconfirmedAnswers,
} from '#libs/store';
import type { Logger } from '#libs/telemetry';
import { LogMetrics, Metrics, NO_TRACING, Tracing, openTracing } from '#libs/telemetry';
import { within } from '#libs/timing';
import { ObservedEventLog } from '../telemetry/observed-event-log.js';
import { prepareDataDirectory } from '../settings/data-directory.js';
import type { Settings } from '../settings/settings.js';
import type { Storage } from './storage.js';
import { openStorage } from './storage.js';

/** What tests put between the services and the real parts. */
export interface Decorators {
  readonly log?: (log: EventLog) => EventLog;
  readonly claims?: (claims: Claims) => Claims;
  readonly orphans?: (orphans: Orphans) => Orphans;
  readonly keys?: (keys: TurnKeys) => TurnKeys;
  readonly unconfirmed?: (unconfirmed: UnconfirmedAnswers) => UnconfirmedAnswers;
  readonly model?: (model: ChatModel) => ChatModel;
}

/** What the services of one process are made of. */
export interface Components {
  readonly storage: Storage;
  /** `storage.log`, decorated and observed. */
  readonly log: EventLog;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  readonly positions: ConsumerPositions;
  readonly progress: ProjectionProgress;
  readonly quarantine: Quarantine;
  readonly presence: Presence;
  readonly logger: Logger;
  /** That signs tokens. */
  readonly secret: Uint8Array;
  /** All that they share, as Nest injects it. */
  readonly shared: readonly Provider[];
  close(): Promise<void>;
}

/** How others see this process. */
interface Presence {
  readonly identity: ProcessIdentity;
  readonly heartbeat: Heartbeat;
}

export interface ComponentsOptions {
  readonly name: string;
  readonly decorators?: Decorators;
  /** What the services have in the database besides what all share. */
  readonly tables?: Schema;
}

export async function openComponents(
  settings: Settings,
  options: ComponentsOptions,
  logger: Logger,
): Promise<Components> {
  if (settings.backend.type === 'embedded' || settings.jwtSecret === null)
    prepareDataDirectory(settings.dataDir);
  const secret = loadSecret({ secret: settings.jwtSecret, dataDir: settings.dataDir });
  const storage = await openStorage(settings, options.name, logger, options.tables);
  const { database, mailbox } = storage;
  const { decorators = {} } = options;
  const metrics = new Metrics();
  const tracing = await openTraces(settings, options.name);
  const plainLog = decorators.log?.(storage.log) ?? storage.log;
  const logMetrics = new LogMetrics(metrics, () => plainLog.outage);
  const log = new ObservedEventLog(plainLog, logMetrics, tracing);
  const plainClaims = new Claims(database);
  const claims = decorators.claims?.(plainClaims) ?? plainClaims;
  const plainOrphans = new Orphans(database, claims.inUse);
  const plainKeys = new TurnKeys(database);
  const plainAnswers = new UnconfirmedAnswers(database);
  const answers = decorators.unconfirmed?.(plainAnswers) ?? plainAnswers;
  const positions = new ConsumerPositions(database);
  const progress = new ProjectionProgress(() => positions.loadAll(PROJECTOR));
  const processes = new Processes(database);
  const presence = await appear(processes, claims, answers, logger);
  const plainModel = openModel(settings);
  const model = decorators.model?.(plainModel) ?? plainModel;
  const transcripts = new Transcripts(database);
  const projection = new Projection();
  const quarantine = new Quarantine(database, projection);
  const shared: readonly Provider[] = [
    { provide: EventLog, useValue: log },
    { provide: Metrics, useValue: metrics },
    { provide: Tracing, useValue: tracing },
    { provide: Database, useValue: database },
    { provide: Mailbox, useValue: mailbox },
    { provide: Claims, useValue: claims },
    { provide: Orphans, useValue: decorators.orphans?.(plainOrphans) ?? plainOrphans },
    { provide: QueueHeads, useValue: new QueueHeads(database) },
    { provide: TurnKeys, useValue: decorators.keys?.(plainKeys) ?? plainKeys },
    { provide: UnconfirmedAnswers, useValue: answers },
    { provide: Processes, useValue: processes },
    { provide: Projection, useValue: projection },
    { provide: Quarantine, useValue: quarantine },
    { provide: Freshness, useValue: new Freshness(database, log, progress) },
    { provide: SessionReads, useValue: new SessionReads(database) },
    { provide: SessionList, useValue: new SessionList(database) },
    { provide: ExportReads, useValue: new ExportReads(database) },
    { provide: Lineage, useValue: new Lineage(database) },
    { provide: Promises, useValue: new Promises(database) },
    { provide: TurnEnds, useValue: new TurnEnds(database) },
    { provide: SurfaceReads, useValue: new SurfaceReads(database) },
    { provide: ToolReads, useValue: new ToolReads(database) },
    { provide: Transcripts, useValue: transcripts },
    { provide: Snapshots, useValue: new Snapshots(database, transcripts) },
    { provide: TrustedProxies, useValue: new TrustedProxies(settings.trustedProxies) },
    { provide: Principals, useValue: new Principals(settings.auth) },
    { provide: RequestLoad, useValue: new RequestLoad(settings.limits.principalRequests) },
    { provide: SessionTokens, useValue: new SessionTokens(secret) },
    { provide: ChatModel, useValue: model },
    { provide: ModelApi, useValue: plainModel },
    { provide: PriceList, useValue: new PriceList(settings.prices) },
    { provide: ContextTokens, useValue: new ContextTokens(settings.contextTokens) },
    SessionAccess,
    SessionLog,
    SessionReleases,
    Maintenance,
    { provide: ProcessIdentity, useValue: presence.identity },
    { provide: Heartbeat, useValue: presence.heartbeat },
  ];
  return {
    storage,
    log,
    metrics,
    tracing,
    positions,
    progress,
    quarantine,
    presence,
    logger,
    secret,
    shared,
    close: async () => {
      await presence.heartbeat.leave();
      await model.close();
      await storage.close();
      await within(tracing.close(), LAST_SPANS_MS);
    },
  };
}

const COMPONENTS = Symbol('components');

/** Gives the services what they share. It closes last, after every service has let go. */
@Global()
@Module({})
export class ComponentsModule implements OnApplicationShutdown {
  constructor(@Inject(COMPONENTS) private readonly components: Components) {}

  static register(components: Components): DynamicModule {
    const { shared } = components;
    return {
      module: ComponentsModule,
      providers: [{ provide: COMPONENTS, useValue: components }, ...shared],
      exports: [...shared],
    };
  }

  async onApplicationShutdown(): Promise<void> {
    await this.components.close();
  }
}

async function appear(
  processes: Processes,
  claims: Claims,
  unconfirmed: UnconfirmedAnswers,
  logger: Logger,
): Promise<Presence> {
  const identity = new ProcessIdentity(await processes.lease(randomUUID()));
  const heartbeat = new Heartbeat(processes, claims, unconfirmed, identity, {
    onRefused: () => {
      logger.fatal({ slot: identity.address.slot }, 'Another process has this slot now: ending');
      process.exit(1);
    },
    onFailed: (error) => logger.warn({ err: error }, 'The database did not take the heartbeat'),
  });
  heartbeat.start();
  return { identity, heartbeat };
}

/** How long the collector may take for the last spans of a process, in ms. */
const LAST_SPANS_MS = 1_000;

async function openTraces({ traces }: Settings, service: string): Promise<Tracing> {
  return traces === null ? NO_TRACING : openTracing({ ...traces, service });
}

function openModel({ llm, demo }: Settings): ChatModel & ModelApi {
  if (llm === null) return new DemoModel(demo);
  const { apiKey, ...options } = llm;
  return new OpenAiCompatibleModel({ ...options, ...(apiKey === null ? {} : { apiKey }) });
}
