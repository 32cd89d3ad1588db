import { expect, it } from 'vitest';
import { OrderedProducer } from '../produce/ordered-producer.js';
import { API, KafkaProxy } from '../../testing/src/kafka-proxy.js';
import { newTopic, send, testBroker, testKafka } from '../../testing/src/test-topic.js';
import { PartitionEnds } from './partition-ends.js';

it('serves many readers by one request, which was sent after each of them asked', async () => {
  const topic = await newTopic(3);
  const producer = new OrderedProducer(testKafka(), { topic, durable: true, maxPendingBytes: 1e6 });
  const proxy = await KafkaProxy.start(testBroker());
  const ends = new PartitionEnds(testKafka({ connect: proxy.connect }), topic, 5000);
  const asked = (): number => proxy.requests.filter((api) => api === API.listOffsets).length;

  const first = await Promise.all(Array.from({ length: 100 }, (_, n) => ends.of(n % 3)));
  expect(new Set(first)).toEqual(new Set([0]));
  expect(asked()).toBe(1);

  // A request is under way while these ask: they share the next one, and so see the event.
  const early = ends.of(1);
  await new Promise(setImmediate);
  await send(producer, 1, 'event');
  const later = await Promise.all(Array.from({ length: 100 }, () => ends.of(1)));
  await early;
  expect(new Set(later)).toEqual(new Set([1]));
  expect(asked()).toBe(3);

  await Promise.all([ends.close(), producer.close(5000)]);
  await proxy.close();
});
