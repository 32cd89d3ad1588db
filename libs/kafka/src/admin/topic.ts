// Node finds no export named ConfigResourceTypes in this CommonJS module, though bundlers do.
import kafkajs from 'kafkajs';
import type { Admin } from 'kafkajs';
import { BOUNDED_RETRY, KafkaConnection } from '../connection/connection.js';
import type { KafkaOptions } from '../connection/options.js';
import { protocolErrorType } from '../produce/rejection.js';
import { deadline, pause, within } from '#libs/timing';

export interface TopicSpec {
  readonly topic: string;
  readonly partitions: number;
  /** Used when it is created; not checked, since operators change it on a living topic. */
  readonly replication: number;
  /** Kafka's names and values, for example `retention.ms`: `-1`. */
  readonly config: Readonly<Record<string, string>>;
}

/** A topic is not as the settings say; the message names each difference. */
export class TopicMismatch extends Error {
  override readonly name = 'TopicMismatch';
  constructor(
    topic: string,
    readonly differences: readonly string[],
  ) {
    super(`topic ${topic} is not as it must be: ${differences.join('; ')}`);
  }
}

const ADMIN_MS = 30_000;
/** How long the brokers may take to hear of a topic that was just made. */
const SPREAD_MS = 5000;
const SPREAD_POLL_MS = 50;

/**
 * Creates the topic if it is missing, and leaves it alone otherwise. Several processes may do so at
 * once.
 */
export async function createTopic(kafka: KafkaOptions, spec: TopicSpec): Promise<void> {
  await withAdmin(kafka, (admin) => createMissing(admin, spec));
}

/** Creates the topic if it is missing, then checks it. */
export async function ensureTopic(kafka: KafkaOptions, spec: TopicSpec): Promise<void> {
  await withAdmin(kafka, async (admin) => {
    await createMissing(admin, spec);
    await check(admin, spec);
  });
}

/**
 * Rejects with `TopicMismatch` where partitions or configuration differ, or the topic is missing.
 */
export async function checkTopic(kafka: KafkaOptions, spec: TopicSpec): Promise<void> {
  await withAdmin(kafka, (admin) => check(admin, spec));
}

/** Whether the topic is there now. */
export async function topicExists(kafka: KafkaOptions, topic: string): Promise<boolean> {
  return await withAdmin(kafka, (admin) => exists(admin, topic));
}

async function withAdmin<T>(kafka: KafkaOptions, work: (admin: Admin) => Promise<T>): Promise<T> {
  const connection = new KafkaConnection(kafka, BOUNDED_RETRY);
  const admin = connection.kafka.admin();
  try {
    return await deadline(
      'asking the cluster about a topic',
      admin.connect().then(() => work(admin)),
      ADMIN_MS,
    );
  } finally {
    await within(admin.disconnect(), 1000).catch(() => undefined);
    connection.abandon();
  }
}

async function exists(admin: Admin, topic: string): Promise<boolean> {
  return (await admin.listTopics()).includes(topic);
}

async function createMissing(admin: Admin, spec: TopicSpec): Promise<void> {
  if (await exists(admin, spec.topic)) return;
  try {
    await admin.createTopics({
      // kafkajs waits by an error in the metadata that `kafkajs-patches.ts` takes away.
      waitForLeaders: false,
      topics: [
        {
          topic: spec.topic,
          numPartitions: spec.partitions,
          replicationFactor: spec.replication,
          configEntries: Object.entries(spec.config).map(([name, value]) => ({ name, value })),
        },
      ],
    });
  } catch (error) {
    if (!madeByAnother(error)) throw error;
  }
  await leadersElected(admin, spec.topic);
}

/**
 * Resolves when each partition of a new topic has a leader that knows of it, or after a while
 * without.
 */
async function leadersElected(admin: Admin, topic: string): Promise<void> {
  await spread(async () => ((await isServed(admin, topic)) ? topic : null));
}

/** What is read, as soon as it is there; null where it is not there after a while. */
async function spread<T>(read: () => Promise<T | null>): Promise<T | null> {
  const until = Date.now() + SPREAD_MS;
  for (;;) {
    const found = await read();
    if (found !== null || Date.now() > until) return found;
    await pause(SPREAD_POLL_MS);
  }
}

async function isServed(admin: Admin, topic: string): Promise<boolean> {
  const metadata = await admin.fetchTopicMetadata({ topics: [topic] }).catch(() => null);
  const partitions = metadata?.topics[0]?.partitions ?? [];
  if (partitions.length === 0 || partitions.some(({ leader }) => leader < 0)) return false;
  const ends = await admin.fetchTopicOffsets(topic).catch(() => null);
  return ends?.every(({ offset }) => Number(offset) >= 0) ?? false;
}

function madeByAnother(error: unknown): boolean {
  if (protocolErrorType(error) === 'TOPIC_ALREADY_EXISTS') return true;
  return error instanceof AggregateError ||
    (error instanceof Error && 'errors' in error && Array.isArray(error.errors))
    ? (error.errors as unknown[]).every(madeByAnother)
    : false;
}

async function check(admin: Admin, spec: TopicSpec): Promise<void> {
  const { topic } = spec;
  // Another process may just have made it, and the broker that is asked not have heard of it.
  const found = await spread(() => described(admin, spec));
  if (found === null) throw new TopicMismatch(topic, ['it does not exist']);
  const differences: string[] = [];
  if (found.partitions !== spec.partitions)
    differences.push(`it has ${found.partitions} partitions instead of ${spec.partitions}`);
  for (const [name, value] of Object.entries(spec.config)) {
    const actual = found.config.get(name);
    if (actual !== value) differences.push(`${name} is ${actual ?? 'unknown'} instead of ${value}`);
  }
  if (differences.length > 0) throw new TopicMismatch(topic, differences);
}

/** The topic as the cluster has it, or null where a broker does not know it. */
async function described(
  admin: Admin,
  { topic, config }: TopicSpec,
): Promise<{ partitions: number; config: ReadonlyMap<string, string> } | null> {
  // Metadata of a topic by its name would make it where the cluster lets it.
  if (!(await exists(admin, topic))) return null;
  const configNames = Object.keys(config);
  const resources = [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic, configNames }];
  try {
    const metadata = await admin.fetchTopicMetadata({ topics: [topic] });
    const { resources: found } = await admin.describeConfigs({ resources, includeSynonyms: false });
    return {
      partitions: metadata.topics[0]?.partitions.length ?? 0,
      config: new Map(found[0]?.configEntries.map((each) => [each.configName, each.configValue])),
    };
  } catch (error) {
    if (protocolErrorType(error) === 'UNKNOWN_TOPIC_OR_PARTITION') return null;
    throw error;
  }
}
