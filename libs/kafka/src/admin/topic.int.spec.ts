import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { newTopic, testKafka } from '../../testing/src/test-topic.js';
import { checkTopic, ensureTopic, topicExists, TopicMismatch } from './topic.js';

const config = {
  'retention.ms': '-1',
  'cleanup.policy': 'delete',
  'max.message.bytes': '10485760',
};

describe('a topic as the settings want it', () => {
  it('is made once, though several processes make it at the same time', async () => {
    const spec = { topic: `made-${randomUUID()}`, partitions: 4, replication: 1, config };
    await Promise.all([1, 2, 3].map(() => ensureTopic(testKafka(), spec)));
    await checkTopic(testKafka(), spec);
  });

  it('is waited for by a check while another process makes it', async () => {
    const spec = { topic: `late-${randomUUID()}`, partitions: 4, replication: 1, config };
    await Promise.all([checkTopic(testKafka(), spec), ensureTopic(testKafka(), spec)]);
  });

  it('is refused where it differs, and each difference is named', async () => {
    const topic = await newTopic(2, { 'retention.ms': '1000' });
    const refused = await checkTopic(testKafka(), {
      topic,
      partitions: 4,
      replication: 1,
      config,
    }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(TopicMismatch);
    const { differences } = refused as TopicMismatch;
    expect(differences).toHaveLength(3);
    expect(differences.join()).toMatch(
      /2 partitions instead of 4.*retention.ms is 1000 instead of -1.*max.message.bytes/,
    );
  });

  it('is refused, not made, by a check where it is missing', async () => {
    const topic = `missing-${randomUUID()}`;
    const spec = { topic, partitions: 1, replication: 1, config };
    await expect(checkTopic(testKafka(), spec)).rejects.toBeInstanceOf(TopicMismatch);
    expect(await topicExists(testKafka(), topic)).toBe(false);
  });
});
