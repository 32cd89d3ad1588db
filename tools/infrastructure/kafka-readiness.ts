import { randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { GroupConsumer, OrderedProducer, createTopic } from '#libs/kafka';
import type { KafkaOptions } from '#libs/kafka';

const TOPIC = 'statebridge.readiness';

/**
 * Waits until a broker serves: a message is acknowledged and a consumer group is joined. The open
 * port alone says little, its coordinators load for some seconds after it. Rejects when `signal` is
 * aborted.
 */
export async function kafkaServes(
  host: string,
  port: number,
  replication: number,
  signal: AbortSignal,
): Promise<void> {
  while (!(await isOpen(host, port))) await delay(50, undefined, { signal });
  const kafka: KafkaOptions = {
    brokers: [`${host}:${port}`],
    clientId: 'readiness',
    // What is not ready yet is no problem that anybody should hear of.
    onProblem: () => undefined,
  };
  for (;;) {
    try {
      await createTopic(kafka, { topic: TOPIC, partitions: 1, replication, config: {} });
      await Promise.all([produce(kafka, signal), join(kafka, signal)]);
      return;
    } catch {
      await delay(100, undefined, { signal });
    }
  }
}

async function produce(kafka: KafkaOptions, signal: AbortSignal): Promise<void> {
  const producer = new OrderedProducer(kafka, {
    topic: TOPIC,
    durable: true,
    maxPendingBytes: 1024,
  });
  try {
    await orAborted(producer.send(0, [{ key: null, value: Buffer.from('ready') }]), signal);
  } finally {
    await producer.close(0);
  }
}

async function join(kafka: KafkaOptions, signal: AbortSignal): Promise<void> {
  const joining = GroupConsumer.start(kafka, {
    topic: TOPIC,
    // A group of its own: one that was killed would let its successor wait for its session's end.
    groupId: `readiness-${randomUUID()}`,
    partitions: 1,
    batchSize: 1,
    position: () => Promise.resolve(0),
    handle: () => Promise.resolve('done'),
    onProblem: () => undefined,
  });
  const left = joining.then((consumer) => consumer.close());
  await orAborted(left, signal);
}

function orAborted<T>(work: Promise<T> | null, signal: AbortSignal): Promise<T | null> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal.reason as Error);
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  return Promise.race([Promise.resolve(work), aborted.promise]).finally(() => {
    signal.removeEventListener('abort', onAbort);
  });
}

function isOpen(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
