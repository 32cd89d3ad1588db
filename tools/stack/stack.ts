import { mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import { SERVICES } from '#libs/protocol';
import type { ServiceName } from '#libs/protocol';
import { prepareDataDirectory } from '#libs/runtime';
import { startFront } from '../front/index.js';
import type { Front } from '../front/index.js';
import { freePort } from '../infrastructure/index.js';
import { endLeftover, readPidFile, removePidFile, writePidFile } from '../supervise/index.js';
import type { ProcessExit, SupervisedProcess } from '../supervise/index.js';
import { startInfrastructure } from './infrastructure.js';
import type { Infrastructure } from './infrastructure.js';
import { builtEntry } from './options.js';
import type { StackOptions } from './options.js';
import { sharedSecret } from './secret.js';
import { ServiceProcess, runFolder } from './service-process.js';
import { writeStackFile } from './stack-file.js';
import type { StackEntry } from './stack-file.js';
import { createTurnsTopic } from './topic.js';

const DEFAULT_PARTITIONS = '12';

/**
 * A running stack. Its services are started, killed and watched by their names: `completions-1`,
 * `gateway-2`.
 */
export interface Stack {
  /** The one address in front. */
  readonly url: string;
  readonly services: readonly ServiceProcess[];
  /** Settings that all services got. */
  readonly env: NodeJS.ProcessEnv;
  readonly kafkaBrokers: string;
  readonly postgresUrl: string;
  /** All processes with their pids of this moment, as in `stack.json`. */
  list(): StackEntry[];
  /** A service, a broker (`kafka-1`) or `postgres`. Throws if there is none of that name. */
  process(name: string): SupervisedProcess;
  /**
   * Sends a signal; a killed process comes back by itself unless `restart` is off. False if it does
   * not run.
   */
  kill(name: string, signal: NodeJS.Signals): boolean;
  /**
   * Ends a service and starts it again, from now on with this added to its settings. Resolves when
   * it serves.
   */
  restart(name: string, extraEnv?: NodeJS.ProcessEnv): Promise<void>;
  /** Resolves when every process serves. */
  whenReady(): Promise<void>;
  /** Is called at each end of a process, wanted or not. Returns how to stop listening. */
  onExit(listener: (exit: ProcessExit) => void): () => void;
  /**
   * Is called each time that a process serves again after an end. Returns how to stop listening.
   */
  onReady(listener: (entry: StackEntry) => void): () => void;
  /** Ends everything that was started, the services first, and waits for it. */
  stop(): Promise<void>;
}

/**
 * Starts Kafka and Postgres (unless given), creates topic and database, then the services, each a
 * process of its own, and the front. Everything ends with this process, however it ends. Throws if
 * another stack runs on the same folder.
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const dataDir = path.resolve(options.dataDir);
  prepareDataDirectory(dataDir);
  const lock = path.join(dataDir, 'stack.pid');
  const holder = readPidFile(lock);
  if (holder !== undefined)
    throw new Error(`A stack runs on ${dataDir} already (process ${holder.pid}).`);
  writePidFile(lock, process.pid);
  let infrastructure: Infrastructure | undefined;
  const services: ServiceProcess[] = [];
  let front: Front | undefined;
  const stop = async (): Promise<void> => {
    await front?.close();
    await Promise.all(services.map((each) => each.stop()));
    await infrastructure?.stop();
    removePidFile(lock);
  };
  try {
    const say = options.say ?? ((): void => undefined);
    const port = options.port === undefined || options.port === 0 ? await freePort() : options.port;
    // First, so that a port that is taken is reported before anything else is waited for.
    front = await startFront(port, services);
    await endLeftoverServices(dataDir);
    infrastructure = await startInfrastructure({
      existing: options.infrastructure,
      brokers: options.brokers ?? 1,
      dataDir,
      logDir: logDirOf(options),
      database: options.database ?? 'statebridge',
      restart: options.restart ?? true,
      say,
    });
    const env = await settings(options, infrastructure, port);
    await createTurnsTopic({
      brokers: infrastructure.kafkaBrokers,
      prefix: env['SBP_KAFKA_TOPIC_PREFIX'] ?? '',
      partitions: Number(env['SBP_KAFKA_PARTITIONS']),
      replication: Number(env['SBP_KAFKA_REPLICATION']),
      minIsr: Number(env['SBP_KAFKA_MIN_ISR']),
    });
    const extraEnv = new Map<string, NodeJS.ProcessEnv>();
    services.push(...(await serviceProcesses(options, env, extraEnv)));
    say('Starting the services …');
    // A session service migrates the database, which all others need: one alone, then the rest.
    const first = services.find((each) => each.kind === 'sessions');
    await first?.start();
    await allOrError(services.filter((each) => each !== first).map((each) => each.start()));
    return runningStack(dataDir, front, services, infrastructure, env, extraEnv, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Also those that the new stack will not start again: they would go on working on the old log. */
async function endLeftoverServices(dataDir: string): Promise<void> {
  const folder = runFolder(dataDir);
  await mkdir(folder, { recursive: true });
  const files = await readdir(folder);
  await Promise.all(files.map((file) => endLeftover(path.join(folder, file), 'SIGTERM')));
}

/** Waits for all, so that nothing is still starting when an error is handled. */
async function allOrError(starts: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(starts)).find((each) => each.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

function logDirOf({ dataDir, logDir }: StackOptions): string {
  return path.resolve(logDir ?? path.join(dataDir, 'logs'));
}

async function settings(
  options: StackOptions,
  { kafkaBrokers, postgresUrl }: Infrastructure,
  port: number,
): Promise<NodeJS.ProcessEnv> {
  const given = { ...process.env, ...options.env };
  return {
    SBP_KAFKA_PARTITIONS: DEFAULT_PARTITIONS,
    SBP_KAFKA_REPLICATION: options.brokers === 3 ? '3' : '1',
    SBP_KAFKA_MIN_ISR: options.brokers === 3 ? '2' : '1',
    SBP_KAFKA_TOPIC_PREFIX: 'sbp',
    SBP_PUBLIC_URL: `http://localhost:${port}`,
    ...given,
    ...(options.topicPrefix === undefined ? {} : { SBP_KAFKA_TOPIC_PREFIX: options.topicPrefix }),
    SBP_JWT_SECRET:
      given['SBP_JWT_SECRET'] ?? (await sharedSecret(path.join(options.dataDir, 'secret'))),
    SBP_BACKEND: 'kafka',
    SBP_KAFKA_BROKERS: kafkaBrokers,
    SBP_POSTGRES_URL: postgresUrl,
    SBP_DATA_DIR: path.resolve(options.dataDir),
  };
}

async function serviceProcesses(
  options: StackOptions,
  env: NodeJS.ProcessEnv,
  extraEnv: ReadonlyMap<string, NodeJS.ProcessEnv>,
): Promise<ServiceProcess[]> {
  const services: ServiceProcess[] = [];
  const add = async (kind: ServiceName, replica: number): Promise<void> => {
    services.push(
      new ServiceProcess({
        kind,
        replica,
        port: await freePort(),
        entry: options.entryOf?.[kind] ?? builtEntry(kind),
        env: () => ({ ...env, ...options.envOf?.[kind], ...extraEnv.get(`${kind}-${replica}`) }),
        dataDir: path.resolve(options.dataDir),
        logDir: logDirOf(options),
        restart: options.restart ?? true,
      }),
    );
  };
  for (const kind of SERVICES) {
    for (let replica = 1; replica <= (options.replicas?.[kind] ?? 1); replica++)
      await add(kind, replica);
  }
  return services;
}

function runningStack(
  dataDir: string,
  front: Front,
  services: readonly ServiceProcess[],
  infrastructure: Infrastructure,
  env: NodeJS.ProcessEnv,
  extraEnv: Map<string, NodeJS.ProcessEnv>,
  stop: () => Promise<void>,
): Stack {
  const processes: readonly SupervisedProcess[] = [...infrastructure.processes, ...services];
  const entryOf = ({ name, pid, url }: SupervisedProcess): StackEntry => ({ name, pid, url });
  const list = (): StackEntry[] => [
    ...processes.filter((each) => each.child !== undefined).map(entryOf),
    { name: 'front', pid: process.pid, url: front.url },
  ];
  const named = (name: string): SupervisedProcess => {
    const found = processes.find((each) => each.name === name);
    if (found === undefined) throw new Error(`The stack has no process ${name}.`);
    return found;
  };
  const keepFile = (): void => writeStackFile(dataDir, list());
  for (const each of processes) each.events.on('ready', keepFile).on('exit', keepFile);
  keepFile();
  return {
    url: front.url,
    services,
    env,
    kafkaBrokers: infrastructure.kafkaBrokers,
    postgresUrl: infrastructure.postgresUrl,
    list,
    process: named,
    kill: (name, signal) => named(name).kill(signal),
    restart: async (name, added) => {
      extraEnv.set(name, { ...extraEnv.get(name), ...added });
      await named(name).restart();
    },
    whenReady: async () => {
      await Promise.all(processes.map((each) => each.whenReady()));
    },
    onExit: (listener) => {
      for (const each of processes) each.events.on('exit', listener);
      return () => processes.forEach((each) => each.events.off('exit', listener));
    },
    onReady: (listener) => {
      const stops = processes.map((each) => {
        const onReady = (): void => listener(entryOf(each));
        each.events.on('ready', onReady);
        return () => each.events.off('ready', onReady);
      });
      return () => stops.forEach((stopOne) => stopOne());
    },
    stop: async () => {
      await stop();
      writeStackFile(dataDir, []);
    },
  };
}
