import { describe, expect, it, vi } from 'vitest';
import { OrderedProducer } from './ordered-producer.js';
import { ProducerClosed } from './produce-lane.js';
import type { OrderedProducerOptions } from './ordered-producer.js';
import { API, KafkaProxy } from '../../testing/src/kafka-proxy.js';
import {
  message,
  newTopic,
  send,
  testBroker,
  testKafka,
  textsOf,
} from '../../testing/src/test-topic.js';

const PARTITIONS = 3;
const WAIT = { timeout: 30_000, interval: 20 };

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

describe('a partition that takes nothing', () => {
  it('delays no other; what waited for it is written in order, once or repeated whole', async () => {
    const topic = await newTopic(PARTITIONS);
    const proxy = await KafkaProxy.start(testBroker());
    const kafka = testKafka({ connect: proxy.connect, requestTimeoutMs: 1000 });
    const producer = new OrderedProducer(kafka, durable(topic));
    await Promise.all([0, 1, 2].map((partition) => send(producer, partition, 'first')));
    proxy.produceFate = (partitions) => (partitions.includes(1) ? 'drop' : 'pass');

    const waiting: Promise<unknown>[] = [];
    let acknowledged = 0;
    for (let n = 0; n < 20; n += 1) {
      waiting.push(send(producer, 1, `${n}/a`, `${n}/b`).then(() => (acknowledged += 1)));
      await Promise.all([send(producer, 0, `${n}`), send(producer, 2, `${n}`)]);
    }
    expect(acknowledged).toBe(0);
    await vi.waitFor(() => expect(producer.outageOf(1)).toMatch(/partition 1 .* for 3 s/), WAIT);
    expect(producer.outage).toBe(producer.outageOf(1));
    expect(producer.outageOf(0)).toBeNull();

    proxy.produceFate = () => 'pass';
    await Promise.all(waiting);
    expect(producer.outage).toBeNull();
    await Promise.all([0, 1, 2].map((partition) => send(producer, partition, 'last')));
    await producer.close(5000);
    await proxy.close();
    const numbers = Array.from({ length: 20 }, (_, n) => `${n}`);
    const pairs = numbers.flatMap((n) => [`${n}/a`, `${n}/b`]);
    const written = await textsOf(topic, 1);
    expect(firsts(written)).toEqual(['first', ...pairs, 'last']);
    expect(lasts(written)).toEqual(['first', ...pairs, 'last']);
    for (const [at, text] of written.entries())
      if (text.endsWith('/a')) expect(written[at + 1]).toBe(text.replace('/a', '/b'));
    for (const partition of [0, 2])
      expect(firsts(await textsOf(topic, partition))).toEqual(['first', ...numbers, 'last']);
  });

  it('returns to the connection of all when nothing waits for it any more', async () => {
    const topic = await newTopic(2);
    const proxy = await KafkaProxy.start(testBroker());
    const kafka = testKafka({ connect: proxy.connect, requestTimeoutMs: 200 });
    const producer = new OrderedProducer(kafka, durable(topic));
    proxy.produceFate = () => 'drop';
    const waiting = [0, 1].map((partition) => send(producer, partition, 'first'));
    // Each in a request of its own: both partitions have left the shared lane.
    const alone = new Set<number>();
    proxy.produceFate = (partitions) => {
      if (partitions.length === 1) for (const partition of partitions) alone.add(partition);
      return alone.size === 2 ? 'pass' : 'drop';
    };
    await Promise.all(waiting);
    const together: number[] = [];
    proxy.produceFate = (partitions) => {
      together.push(partitions.length);
      return 'pass';
    };
    await Promise.all([0, 1].map((partition) => send(producer, partition, 'second')));
    expect(together).toEqual([2]);
    await producer.close(5000);
    await proxy.close();
  });
});

describe('an append that waits alone', () => {
  it('is sent at once, and what is sent meanwhile goes together', async () => {
    const topic = await newTopic(1);
    const proxy = await KafkaProxy.start(testBroker());
    const producer = new OrderedProducer(testKafka({ connect: proxy.connect }), durable(topic));
    await send(producer, 0, 'connected');
    const before = proxy.requests.filter((api) => api === API.produce).length;
    const first = send(producer, 0, 'alone');
    // Not in the same turn of the event loop, so it has gone already.
    await new Promise(setImmediate);
    const rest = Array.from({ length: 50 }, (_, n) => send(producer, 0, `${n}`));
    await Promise.all([first, ...rest]);
    expect(proxy.requests.filter((api) => api === API.produce)).toHaveLength(before + 2);
    await producer.close(5000);
    await proxy.close();
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
