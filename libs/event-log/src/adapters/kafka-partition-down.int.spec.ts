import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import type { LogEvent } from '#libs/protocol';
import { startKafka } from '../../../../tools/infrastructure/index.js';
import type { KafkaCluster } from '../../../../tools/infrastructure/index.js';
import { LogUnavailable } from '../ports/event-log.js';
import type { LogReader } from '../ports/event-log.js';
import { KafkaEventLog, turnsTopic } from './kafka-event-log.js';

const PARTITIONS = 12;
/** The partitions whose only replica is on the third broker. */
const DOWN = [4, 9];
const TEST_MS = 180_000;
const WAIT = { timeout: 60_000, interval: 50 };
const SETTINGS = { partitions: PARTITIONS, replication: 1, minInsyncReplicas: 1 };

let directory: string;
let cluster: KafkaCluster;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'partition-down-'));
  cluster = await startKafka({ dataDir: directory, brokers: 3 });
});

afterAll(async () => {
  await cluster.stop({ discard: true });
  await rm(directory, { recursive: true, force: true, maxRetries: 10 });
});

it(
  'goes on with the other partitions while the brokers of some are away',
  async () => {
    const prefix = `log-${randomUUID()}`;
    await makeTopic(prefix);
    const brokers = cluster.brokers.split(',').slice(0, 2);
    const kafka = { brokers, clientId: 'partition-down', onProblem: () => undefined };
    const log = await KafkaEventLog.open({ kafka, prefix, ...SETTINGS });
    const sessions = sessionPerPartition(log);
    const sent = new Map(sessions.map((session) => [session, [] as string[]]));
    const append = (session: string): Promise<unknown> => {
      const event = eventOf(session);
      sent.get(session)?.push(event.id);
      return log.append([event]);
    };
    const reader = collecting();
    const subscription = await log.subscribe(reader);
    await Promise.all(sessions.map(append));

    await cluster.processes[2]?.stop({ discard: true });
    const waiting = DOWN.flatMap((partition) => {
      const session = sessions[partition] ?? '';
      return [append(session), append(session)];
    });
    const acknowledged = vi.fn();
    for (const each of waiting) void each.then(acknowledged);
    const others = sessions.filter((_, partition) => !DOWN.includes(partition));
    for (let round = 0; round < 10; round += 1) await Promise.all(others.map(append));
    await vi.waitFor(() => {
      for (const partition of DOWN)
        expect(log.outageOf(sessions[partition] ?? '')).toMatch(`partition ${partition} of`);
    }, WAIT);
    expect(log.outage).toMatch(/^partition (4|9) of/);
    for (const session of others) expect(log.outageOf(session)).toBeNull();

    // Also a process that begins now: the others can be written, and be read to their ends.
    const second = await vi.waitFor(() => KafkaEventLog.open({ kafka, prefix, ...SETTINGS }), WAIT);
    await second.check();
    for (const session of others) {
      const event = eventOf(session);
      sent.get(session)?.push(event.id);
      expect(await second.append([event])).toMatchObject({ type: 'appended' });
      expect(await second.end(second.partitionOf(session))).toBeGreaterThanOrEqual(12);
    }
    const end = second.end(DOWN[0] ?? 0);
    await expect(end).rejects.toThrow(/has no leader that answers/);
    await expect(end).rejects.toBeInstanceOf(LogUnavailable);
    await vi.waitFor(() => {
      for (const session of others) expect(reader.idsOf(session)).toEqual(sent.get(session));
    }, WAIT);
    const late = collecting();
    const lateSubscription = await second.subscribe(late);
    await vi.waitFor(() => {
      for (const session of others) expect(late.idsOf(session)).toEqual(sent.get(session));
    }, WAIT);
    expect(acknowledged).not.toHaveBeenCalled();

    await cluster.processes[2]?.start();
    await Promise.all(waiting);
    expect(log.outage).toBeNull();
    await vi.waitFor(() => {
      for (const session of sessions) {
        expect(reader.idsOf(session)).toEqual(sent.get(session));
        expect(late.idsOf(session)).toEqual(sent.get(session));
      }
    }, WAIT);
    await Promise.all([subscription.close(), lateSubscription.close()]);
    await Promise.all([log.close(), second.close()]);
  },
  TEST_MS,
);

/** Each partition on one broker: those of `DOWN` on the third, the others on the first two. */
async function makeTopic(prefix: string): Promise<void> {
  const { topic, config } = turnsTopic({ prefix, ...SETTINGS });
  const kafka = new Kafka({ brokers: cluster.brokers.split(','), logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  const replicaAssignment = Array.from({ length: PARTITIONS }, (_, partition) => ({
    partition,
    replicas: [DOWN.includes(partition) ? 3 : 1 + (partition % 2)],
  }));
  const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }));
  const topics = [
    { topic, numPartitions: -1, replicationFactor: -1, replicaAssignment, configEntries },
  ];
  // kafkajs waits by an error in the metadata that the connection takes away; `open` waits instead.
  await admin.createTopics({ topics, waitForLeaders: false });
  await admin.disconnect();
}

/** By partition, a session that is written to it. */
function sessionPerPartition(log: KafkaEventLog): string[] {
  const found = new Map<number, string>();
  while (found.size < PARTITIONS) {
    const session = randomUUID();
    found.set(log.partitionOf(session), session);
  }
  return [...found].sort(([one], [other]) => one - other).map(([, session]) => session);
}

/** A reader that keeps its positions, and each event's id once, in memory. */
function collecting(): LogReader & { idsOf(session: string): string[] } {
  const positions = new Map<number, number>();
  const seen = new Map<string, Set<string>>();
  return {
    consumer: randomUUID(),
    batchSize: 100,
    position: (partition) => Promise.resolve(positions.get(partition) ?? 0),
    handle: (batch) => {
      for (const { event } of batch.records) {
        if (event === null) continue;
        const ids = seen.get(event.session_id) ?? new Set();
        seen.set(event.session_id, ids.add(event.id));
      }
      positions.set(batch.partition, batch.next);
      return Promise.resolve('done');
    },
    onProblem: () => undefined,
    idsOf: (session) => [...(seen.get(session) ?? [])],
  };
}

function eventOf(session: string): LogEvent {
  return {
    id: randomUUID(),
    type: 'surface.acknowledged',
    schema: 1,
    session_id: session,
    occurred_at: '2026-05-10T15:05:00.000Z',
    by: { principal: null, via: 'system' },
    data: { attach_id: randomUUID(), seq: 1 },
  };
}
