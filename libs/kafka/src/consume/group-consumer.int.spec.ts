import { randomUUID } from 'node:crypto';
import { Kafka, logLevel } from 'kafkajs';
import { describe, expect, it, vi } from 'vitest';
import { GroupConsumer } from './group-consumer.js';
import type { GroupConsumerOptions, MessageBatch } from './group-reader.js';
import { OrderedProducer } from '../produce/ordered-producer.js';
import { KafkaProxy } from '../../testing/src/kafka-proxy.js';
import { newTopic, send, testBroker, testKafka } from '../../testing/src/test-topic.js';

const WAIT = { timeout: 30_000, interval: 20 };

/** A reader that keeps its positions in memory. */
function reader(topic: string, partitions: number, options: Partial<GroupConsumerOptions> = {}) {
  const stored = new Map<number, number>();
  const batches: MessageBatch[] = [];
  const problems: string[] = [];
  const consumer: GroupConsumerOptions = {
    topic,
    groupId: `group-${randomUUID()}`,
    partitions,
    batchSize: 100,
    position: (partition) => Promise.resolve(stored.get(partition) ?? 0),
    handle: (batch) => {
      batches.push(batch);
      stored.set(batch.partition, batch.next);
      return Promise.resolve('done');
    },
    onProblem: (problem) => problems.push(problem),
    ...options,
  };
  const textsOf = (partition: number): (string | undefined)[] =>
    batches
      .filter((batch) => batch.partition === partition)
      .flatMap(({ messages }) => messages.map(textOf));
  return { consumer, stored, batches, problems, textsOf };
}

const textOf = ({ value }: MessageBatch['messages'][number]): string | undefined =>
  value?.toString();

async function write(topic: string, partition: number, texts: readonly string[]): Promise<void> {
  const producer = new OrderedProducer(testKafka(), {
    topic,
    durable: true,
    maxPendingBytes: 64 * 1024 * 1024,
  });
  await Promise.all(texts.map((text) => send(producer, partition, text)));
  await producer.close(5000);
}

const numbered = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, n) => `${from + n}`);

describe('a group consumer', () => {
  it('raises an alarm at records that are gone, and passes over nothing', async () => {
    const topic = await newTopic(1);
    await write(topic, 0, numbered(10));
    const admin = new Kafka({ brokers: [testBroker()], logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    await admin.fetchTopicMetadata({ topics: [topic] });
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '5' }] });
    await admin.disconnect();

    const { consumer, stored, batches, problems } = reader(topic, 1);
    stored.set(0, 2);
    const group = await GroupConsumer.start(testKafka(), consumer);
    await vi.waitFor(() => expect(problems.join()).toMatch(/expected offset 2 and got 5/), WAIT);
    expect(batches).toEqual([]);
    // As an operator who has made sure would set it.
    stored.set(0, 5);
    await vi.waitFor(
      () => expect(batches.flatMap(({ messages }) => messages.map(textOf))).toEqual(numbered(5, 5)),
      WAIT,
    );
    await group.close();
  });

  it('goes on with a new client when the broker falls silent', async () => {
    const topic = await newTopic(2);
    const proxy = await KafkaProxy.start(testBroker());
    const { consumer, problems, textsOf } = reader(topic, 2, { stallMs: 1500 });
    const kafka = testKafka({ connect: proxy.connect, requestTimeoutMs: 60_000 });
    const group = await GroupConsumer.start(kafka, consumer);
    await write(topic, 1, numbered(5));
    await vi.waitFor(() => expect(textsOf(1)).toEqual(numbered(5)), WAIT);

    proxy.frozen = true;
    await write(topic, 1, numbered(5, 5));
    await vi.waitFor(() => expect(problems.join()).toMatch(/opens another/), WAIT);
    proxy.frozen = false;
    await vi.waitFor(() => expect(textsOf(1)).toEqual(numbered(10)), WAIT);
    await group.close();
    await proxy.close();
  });

  it('gets a record that is larger than a fetch before the busy partitions in front of it are read to their end', async () => {
    const topic = await newTopic(2, { 'max.message.bytes': '10485760' });
    const large = 'x'.repeat(1024 * 1024);
    await Promise.all([
      write(
        topic,
        0,
        Array.from({ length: 160 }, () => 'y'.repeat(50_000)),
      ),
      write(topic, 1, [large]),
    ]);
    const { consumer, batches, textsOf } = reader(topic, 2);
    const group = await GroupConsumer.start(testKafka(), consumer);
    await vi.waitFor(() => expect(textsOf(0)).toHaveLength(160), WAIT);
    expect(textsOf(1)).toEqual([large]);
    expect(batches.at(-1)?.partition).toBe(0);
    await group.close();
  });

  it('shares the partitions, and gives those of a member that leaves to the one that stays', async () => {
    const topic = await newTopic(4);
    const one = reader(topic, 4);
    const group = await GroupConsumer.start(testKafka(), one.consumer);
    const stays = await GroupConsumer.start(testKafka(), { ...one.consumer });
    await Promise.all([0, 1, 2, 3].map((partition) => write(topic, partition, numbered(20))));
    const expectAll = (count: number): void => {
      for (const partition of [0, 1, 2, 3])
        expect([...new Set(one.textsOf(partition))]).toEqual(numbered(count));
    };
    await vi.waitFor(() => expectAll(20), WAIT);
    await group.close();
    await Promise.all([0, 1, 2, 3].map((partition) => write(topic, partition, numbered(20, 20))));
    await vi.waitFor(() => expectAll(40), WAIT);
    await stays.close();
  });
});
