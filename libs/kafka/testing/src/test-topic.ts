import { randomUUID } from 'node:crypto';
import { inject } from 'vitest';
import { ClusterClient } from '../../src/read/cluster-client.js';
import type { KafkaOptions } from '../../src/connection/options.js';
import type { OrderedProducer } from '../../src/produce/ordered-producer.js';
import type { ProducedMessage, SendOutcome } from '../../src/produce/send-queue.js';
import { createTopic } from '../../src/admin/topic.js';

export function testBroker(): string {
  return inject('SBP_TEST_KAFKA_BROKERS').split(',')[0] ?? '';
}

export function testKafka(options: Partial<KafkaOptions> = {}): KafkaOptions {
  return { brokers: [testBroker()], clientId: 'test', onProblem: () => undefined, ...options };
}

/** A new topic with a name of its own. */
export async function newTopic(
  partitions: number,
  config: Record<string, string> = {},
): Promise<string> {
  const topic = `test-${randomUUID()}`;
  await createTopic(testKafka(), { topic, partitions, replication: 1, config });
  return topic;
}

export function message(text: string, key = 'k'): ProducedMessage {
  return { key, value: Buffer.from(text) };
}

/** Sends one group, where nothing may be refused for want of room. */
export async function send(
  producer: OrderedProducer,
  partition: number,
  ...texts: string[]
): Promise<SendOutcome> {
  const sent = producer.send(
    partition,
    texts.map((text) => message(text)),
  );
  if (sent === null) throw new Error('too much waits');
  return await sent;
}

/** The texts of a partition's records, from its beginning to its end. */
export async function textsOf(topic: string, partition: number): Promise<string[]> {
  const client = new ClusterClient(testKafka(), topic);
  const texts: string[] = [];
  const end = (await client.ends()).ends.get(partition) ?? 0;
  while (texts.length < end) {
    const { messages } = await client.fetch(partition, texts.length, 100);
    texts.push(...messages.map(({ value }) => value?.toString() ?? ''));
  }
  await client.close();
  return texts;
}
