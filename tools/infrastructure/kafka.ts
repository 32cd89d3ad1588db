import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { SupervisedProcess } from '../supervise/index.js';
import { freePort } from './free-port.js';
import { findJava } from './java.js';
import { kafkaJars } from './kafka-jars.js';
import { LOGGING_PROPERTIES, brokerProperties } from './kafka-properties.js';
import type { BrokerAddress } from './kafka-properties.js';
import { kafkaServes } from './kafka-readiness.js';

const run = promisify(execFile);

export interface KafkaOptions {
  /**
   * Brokers keep their data and their ports here: a later start on the same folder is the same
   * cluster.
   */
  readonly dataDir: string;
  /** 1 or 3; an existing folder keeps what it was made with. */
  readonly brokers?: 1 | 3;
  readonly logDir?: string;
  /** Start a broker again that ended on its own. */
  readonly restart?: boolean;
  readonly say?: (message: string) => void;
}

export interface KafkaCluster {
  /** `host:port` of each broker, separated by commas. */
  readonly brokers: string;
  /** `kafka-1` and so on. */
  readonly processes: readonly SupervisedProcess[];
  /**
   * Kills a broker, and starts it on an empty disk. Resolves when it serves; its copies are whole
   * some time later.
   */
  loseDisk(name: string): Promise<void>;
  /** `discard` kills the brokers at once: for data that nobody will read again. */
  stop(options?: { readonly discard?: boolean }): Promise<void>;
}

interface ClusterFile {
  readonly clusterId: string;
  readonly brokers: readonly BrokerAddress[];
}

/**
 * Starts real brokers without Docker and resolves when they acknowledge messages and let groups
 * join. Throws `MissingProgramError` where Java or Maven must be installed first.
 */
export async function startKafka(options: KafkaOptions): Promise<KafkaCluster> {
  const say = options.say ?? ((): void => undefined);
  const dataDir = path.resolve(options.dataDir);
  const [java, jars] = await Promise.all([findJava(), kafkaJars(say)]);
  await mkdir(dataDir, { recursive: true });
  const cluster = await clusterOf(dataDir, options.brokers ?? 1);
  await Promise.all(cluster.brokers.map((broker) => format(java, jars, dataDir, cluster, broker)));
  const processes = cluster.brokers.map(
    (broker) => new SupervisedProcess(brokerProcess(java, jars, dataDir, cluster, broker, options)),
  );
  const stop: KafkaCluster['stop'] = async (stopOptions) => {
    await Promise.all(processes.map((each) => each.stop(stopOptions)));
  };
  try {
    await Promise.all(processes.map((each) => each.start()));
  } catch (error) {
    await stop({ discard: true });
    throw error;
  }
  const loseDisk: KafkaCluster['loseDisk'] = async (name) => {
    const at = processes.findIndex((each) => each.name === name);
    const [broker, process] = [cluster.brokers[at], processes[at]];
    if (broker === undefined || process === undefined) throw new Error(`there is no ${name}`);
    await process.stop({ discard: true });
    await rm(path.join(folderOf(dataDir, broker), 'data'), { recursive: true });
    await format(java, jars, dataDir, cluster, broker);
    await process.start();
  };
  return { brokers: cluster.brokers.map(addressOf).join(','), processes, loseDisk, stop };
}

const addressOf = (broker: BrokerAddress): string => `127.0.0.1:${broker.port}`;
const folderOf = (dataDir: string, broker: BrokerAddress): string =>
  path.join(dataDir, `broker-${broker.id}`);

async function clusterOf(dataDir: string, size: number): Promise<ClusterFile> {
  const file = path.join(dataDir, 'cluster.json');
  if (existsSync(file)) return JSON.parse(await readFile(file, 'utf8')) as ClusterFile;
  const brokers: BrokerAddress[] = [];
  for (let id = 1; id <= size; id++) {
    brokers.push({ id, port: await freePort(), controllerPort: await freePort() });
  }
  // Kafka's cluster ids are UUIDs in 22 characters of base64url.
  const clusterId = Buffer.from(randomUUID().replaceAll('-', ''), 'hex').toString('base64url');
  const cluster = { clusterId, brokers };
  await writeFile(file, JSON.stringify(cluster));
  return cluster;
}

async function format(
  java: string,
  jars: string,
  dataDir: string,
  cluster: ClusterFile,
  broker: BrokerAddress,
): Promise<void> {
  const folder = folderOf(dataDir, broker);
  const properties = path.join(folder, 'server.properties');
  await mkdir(folder, { recursive: true });
  await writeFile(properties, brokerProperties(broker, cluster.brokers, path.join(folder, 'data')));
  await writeFile(path.join(folder, 'log4j2.properties'), LOGGING_PROPERTIES);
  if (existsSync(path.join(folder, 'data', 'meta.properties'))) return;
  await run(java, [
    ...javaOptions(folder, jars),
    'kafka.tools.StorageTool',
    'format',
    // One word: an id may begin with a hyphen.
    `--cluster-id=${cluster.clusterId}`,
    `--config=${properties}`,
  ]);
}

function javaOptions(folder: string, jars: string): string[] {
  return [
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    '-XX:-UsePerfData',
    '-Xshare:auto',
    `-Dlog4j2.configurationFile=${path.join(folder, 'log4j2.properties')}`,
    '-cp',
    path.join(jars, '*'),
  ];
}

function brokerProcess(
  java: string,
  jars: string,
  dataDir: string,
  cluster: ClusterFile,
  broker: BrokerAddress,
  options: KafkaOptions,
): SupervisedProcess['spec'] {
  const folder = folderOf(dataDir, broker);
  const name = `kafka-${broker.id}`;
  return {
    name,
    launch: () => ({
      command: java,
      args: [
        '-Xms192m',
        '-Xmx384m',
        ...javaOptions(folder, jars),
        'kafka.Kafka',
        path.join(folder, 'server.properties'),
      ],
      cwd: folder,
    }),
    ready: async ({ signal }) => {
      await kafkaServes('127.0.0.1', broker.port, Math.min(cluster.brokers.length, 3), signal);
      return `kafka://${addressOf(broker)}`;
    },
    logFile: path.join(options.logDir ?? dataDir, `${name}.log`),
    pidFile: path.join(folder, 'pid.json'),
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 10_000,
    readyTimeoutMs: 60_000,
    restart: options.restart ?? false,
  };
}
