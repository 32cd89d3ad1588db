import { describe, expect, it } from 'vitest';
import { OrderedProducer } from './ordered-producer.js';
import { ProducerClosed } from './produce-lane.js';
import type { OrderedProducerOptions } from './ordered-producer.js';
import { KafkaProxy } from '../../testing/src/kafka-proxy.js';
import {
  message,
  newTopic,
  send,
  testBroker,
  testKafka,
  textsOf,
} from '../../testing/src/test-topic.js';

const PARTITIONS = 3;

function durable(
  topic: string,
  options: Partial<OrderedProducerOptions> = {},
): OrderedProducerOptions {
  return { topic, durable: true, maxPendingBytes: 1024 * 1024, ...options };
}

/** Each text once, at the place of its first record, and at that of its last. */
function firsts(texts: readonly string[]): string[] {
  return [...new Set(texts)];
}
function lasts(texts: readonly string[]): string[] {
  return firsts(texts.toReversed()).toReversed();
}

describe('a producer whose answers get lost', () => {
  async function writeThrough(
    proxy: KafkaProxy,
    topic: string,
    messagesPerPartition: number,
  ): Promise<string[][]> {
    const kafka = testKafka({ connect: proxy.connect, requestTimeoutMs: 200 });
    const producer = new OrderedProducer(
      kafka,
      durable(topic, { bounds: { messagesPerPartition } }),
    );
    const acknowledged: string[][] = Array.from({ length: PARTITIONS }, () => []);
    const writers = acknowledged.flatMap((mine, partition) =>
      Array.from({ length: 60 }, async (_, n) => {
        // Some at once, some behind one another.
        for (let wait = 0; wait < n % 7; wait += 1) await new Promise(setImmediate);
        const texts = [`${partition}/${n}/a`, `${partition}/${n}/b`];
        mine.push(...texts);
        expect(await send(producer, partition, ...texts)).toMatchObject({ type: 'written' });
      }),
    );
    await Promise.all(writers);
    await producer.close(5000);
    return acknowledged;
  }

  it.each(['drop', 'cut'] as const)(
    'writes everything once and in order when every third is lost by a %s',
    async (fate) => {
      const topic = await newTopic(PARTITIONS);
      const proxy = await KafkaProxy.start(testBroker());
      let answers = 0;
      proxy.produceFate = () => ((answers += 1) % 3 === 1 ? fate : 'pass');
      const acknowledged = await writeThrough(proxy, topic, 8);
      await proxy.close();
      expect(answers).toBeGreaterThan(3);
      for (const [partition, texts] of acknowledged.entries())
        expect(await textsOf(topic, partition)).toEqual(texts);
    },
  );

  it('loses nothing and repeats only whole sends, before anything newer, when it has to begin anew', async () => {
    const topic = await newTopic(PARTITIONS);
    const proxy = await KafkaProxy.start(testBroker());
    // Longer in a row than a send may take: the producer is given up twice.
    let answers = 0;
    proxy.produceFate = () => ((answers += 1) % 8 === 0 ? 'pass' : 'drop');
    const acknowledged = await writeThrough(proxy, topic, 100);
    await proxy.close();
    for (const [partition, texts] of acknowledged.entries()) {
      const written = await textsOf(topic, partition);
      expect(written.length).toBeGreaterThan(texts.length);
      expect(firsts(written)).toEqual(texts);
      expect(lasts(written)).toEqual(texts);
    }
  });

  it('gives the offsets at which the messages stand', async () => {
    const topic = await newTopic(1);
    const producer = new OrderedProducer(testKafka(), durable(topic));
    const groups = [['a'], ['b', 'c'], ['d', 'e', 'f']];
    const outcomes = await Promise.all(groups.map((texts) => send(producer, 0, ...texts)));
    expect(outcomes).toEqual([0, 2, 5].map((offset) => ({ type: 'written', offset })));
    await producer.close(5000);
  });
});

describe('a group that the broker refuses', () => {
  it('fails alone; those sent with it are written, in order', async () => {
    const topic = await newTopic(2, { 'max.message.bytes': '20000' });
    const producer = new OrderedProducer(testKafka(), durable(topic));
    const texts = ['first', 'x'.repeat(30_000), 'second', 'third'];
    const sent = texts.map((text) => send(producer, 0, text));
    const other = send(producer, 1, 'elsewhere');
    expect(await Promise.all(sent)).toMatchObject([
      { type: 'written' },
      { type: 'rejected', reason: 'too_large' },
      { type: 'written' },
      { type: 'written' },
    ]);
    expect(await other).toMatchObject({ type: 'written' });
    await producer.close(5000);
    expect(firsts(await textsOf(topic, 0))).toEqual(['first', 'second', 'third']);
    expect(firsts(await textsOf(topic, 1))).toEqual(['elsewhere']);
  });

  it('does not exist where only all together were too large', async () => {
    const topic = await newTopic(1, { 'max.message.bytes': '20000' });
    const producer = new OrderedProducer(testKafka(), durable(topic));
    const texts = Array.from({ length: 10 }, (_, n) => `${n}`.padEnd(5000, '.'));
    const outcomes = await Promise.all(texts.map((text) => send(producer, 0, text)));
    for (const outcome of outcomes) expect(outcome).toMatchObject({ type: 'written' });
    await producer.close(5000);
    expect(await textsOf(topic, 0)).toEqual(texts);
  });
});

describe('the bounds of a producer', () => {
  it('refuses what is too much to wait, without sending it, and takes more when it has got rid of some', async () => {
    const topic = await newTopic(1);
    const producer = new OrderedProducer(testKafka(), durable(topic, { maxPendingBytes: 1000 }));
    const text = 'x'.repeat(400);
    const first = [send(producer, 0, text), send(producer, 0, text)];
    expect(producer.send(0, [message('too much')])).toBeNull();
    await Promise.all(first);
    expect(await send(producer, 0, 'now')).toMatchObject({ type: 'written' });
    await producer.close(5000);
    expect(await textsOf(topic, 0)).toEqual([text, text, 'now']);
  });

  it('gives up, if it may, what it could not send in time, and sends what comes later', async () => {
    const topic = await newTopic(1);
    const proxy = await KafkaProxy.start(testBroker());
    const kafka = testKafka({ connect: proxy.connect, requestTimeoutMs: 200 });
    const producer = new OrderedProducer(
      kafka,
      durable(topic, { durable: false, giveUpAfterMs: 500 }),
    );
    proxy.frozen = true;
    expect(await send(producer, 0, 'lost')).toEqual({ type: 'lost' });
    proxy.frozen = false;
    expect(await send(producer, 0, 'later')).toMatchObject({ type: 'written' });
    await producer.close(5000);
    await proxy.close();
  });

  it('rejects, when it is closed, what still has no outcome', async () => {
    const topic = await newTopic(1);
    const proxy = await KafkaProxy.start(testBroker());
    proxy.frozen = true;
    const producer = new OrderedProducer(testKafka({ connect: proxy.connect }), durable(topic));
    const pending = send(producer, 0, 'unknown');
    const rejected = expect(pending).rejects.toBeInstanceOf(ProducerClosed);
    await producer.close(100);
    await rejected;
    await proxy.close();
  });
});
