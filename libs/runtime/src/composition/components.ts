import { randomUUID } from 'node:crypto';
import { RoamingTokens, SessionTokens, loadSecret } from '#libs/auth';
import type { EventLog } from '#libs/event-log';
import { ConsumerPositions } from '#libs/event-log';
import type { ChatModel } from '#libs/llm';
import { DemoModel, OpenAiCompatibleModel, PriceList } from '#libs/llm';
import {
  Claims,
  Freshness,
  Heartbeat,
  Orphans,
  PROJECTOR,
  ProcessIdentity,
  Processes,
  Projection,
  ProjectionProgress,
  SessionReads,
  SurfaceReads,
  Transcripts,
  UnconfirmedAnswers,
} from '#libs/store';
import type { Logger } from '#libs/telemetry';
import { prepareDataDirectory } from '../settings/data-directory.js';
import type { Settings } from '../settings/settings.js';
import type { Storage } from './storage.js';
import { openStorage } from './storage.js';

/** What tests put between the services and the real parts. */
export interface Decorators {
  readonly log?: (log: EventLog) => EventLog;
  readonly claims?: (claims: Claims) => Claims;
  readonly orphans?: (orphans: Orphans) => Orphans;
  readonly unconfirmed?: (unconfirmed: UnconfirmedAnswers) => UnconfirmedAnswers;
  readonly model?: (model: ChatModel) => ChatModel;
}

/** All that the services of one process share. */
export interface Components {
  readonly storage: Storage;
  /** `storage.log`, decorated. */
  readonly log: EventLog;
  readonly positions: ConsumerPositions;
  readonly progress: ProjectionProgress;
  readonly claims: Claims;
  readonly orphans: Orphans;
  readonly unconfirmed: UnconfirmedAnswers;
  readonly transcripts: Transcripts;
  readonly processes: Processes;
  readonly projection: Projection;
  readonly freshness: Freshness;
  readonly sessionReads: SessionReads;
  readonly surfaceReads: SurfaceReads;
  readonly sessionTokens: SessionTokens;
  readonly roamingTokens: RoamingTokens;
  readonly model: ChatModel;
  readonly prices: PriceList;
  /** Null for a process that neither runs turns nor holds surfaces. */
  readonly presence: { readonly identity: ProcessIdentity; readonly heartbeat: Heartbeat } | null;
  readonly logger: Logger;
  close(): Promise<void>;
}

export interface ComponentsOptions {
  readonly name: string;
  /**
   * Whether the process runs turns or holds surfaces: then others must be able to reach it, and to
   * see it die.
   */
  readonly present: boolean;
  readonly decorators?: Decorators;
}

export async function openComponents(
  settings: Settings,
  options: ComponentsOptions,
  logger: Logger,
): Promise<Components> {
  if (settings.backend.type === 'embedded' || settings.jwtSecret === null)
    prepareDataDirectory(settings.dataDir);
  const secret = loadSecret({ secret: settings.jwtSecret, dataDir: settings.dataDir });
  const storage = await openStorage(settings, options.name, logger);
  const { database } = storage;
  const { decorators = {} } = options;
  const log = decorated(storage.log, decorators.log);
  const positions = new ConsumerPositions(database);
  const progress = new ProjectionProgress(() => positions.loadAll(PROJECTOR));
  const processes = new Processes(database);
  const claims = decorated(new Claims(database), decorators.claims);
  const unconfirmed = decorated(new UnconfirmedAnswers(database), decorators.unconfirmed);
  const presence = options.present ? await appear(processes, claims, unconfirmed, logger) : null;
  const model = decorated(openModel(settings), decorators.model);
  return {
    storage,
    log,
    positions,
    progress,
    claims,
    orphans: decorated(new Orphans(database, claims.inUse), decorators.orphans),
    unconfirmed,
    transcripts: new Transcripts(database),
    processes,
    projection: new Projection(),
    freshness: new Freshness(database, log, progress),
    sessionReads: new SessionReads(database),
    surfaceReads: new SurfaceReads(database),
    sessionTokens: new SessionTokens(secret),
    roamingTokens: new RoamingTokens(secret),
    model,
    prices: new PriceList(settings.prices),
    presence,
    logger,
    close: async () => {
      await presence?.heartbeat.leave();
      await model.close();
      await storage.close();
    },
  };
}

function decorated<T>(part: T, decorate: ((part: T) => T) | undefined): T {
  return decorate?.(part) ?? part;
}

async function appear(
  processes: Processes,
  claims: Claims,
  unconfirmed: UnconfirmedAnswers,
  logger: Logger,
): Promise<NonNullable<Components['presence']>> {
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

function openModel({ llm, demo }: Settings): ChatModel {
  if (llm === null) return new DemoModel(demo);
  const { baseUrl, apiKey } = llm;
  return new OpenAiCompatibleModel({ baseUrl, ...(apiKey === null ? {} : { apiKey }) });
}
