import { randomUUID } from 'node:crypto';
import { Kafka, logLevel } from 'kafkajs';
import type { Consumer, Producer } from 'kafkajs';
import { createTopic } from '#libs/kafka';
import type { Contender } from './rounds.js';
import { stamp, stampsIn } from './stamping-model.js';
import { spreadOf } from './statistics.js';
import type { Spread } from './statistics.js';

/** As long as a mailbox waits at the broker for something to come. */
const FETCH_WAIT_MS = 1000;
/** What a live message says besides its text. */
const ENVELOPE = 'x'.repeat(280);
const LOOK_MS = 10;

interface BareSlot extends Spread {
  readonly deltas: number;
}

/**
 * A topic of one partition, written with acks=1 by one kafkajs producer and read by one consumer.
 */
export class BareChannel {
  private onStamps: (text: string) => void = () => undefined;

  private constructor(
    private readonly producer: Producer,
    private readonly consumer: Consumer,
    private readonly topic: string,
  ) {}

  static async open(brokers: readonly string[]): Promise<BareChannel> {
    const topic = `bench-live-${randomUUID()}`;
    await createTopic(
      { brokers, clientId: 'bench', onProblem: () => undefined },
      { topic, partitions: 1, replication: 1, config: {} },
    );
    const kafka = new Kafka({
      brokers: [...brokers],
      clientId: 'bench-bare',
      logLevel: logLevel.ERROR,
    });
    const producer = kafka.producer({ maxInFlightRequests: 1, allowAutoTopicCreation: false });
    const consumer = kafka.consumer({
      groupId: topic,
      maxWaitTimeInMs: FETCH_WAIT_MS,
      minBytes: 1,
    });
    const channel = new BareChannel(producer, consumer, topic);
    const joined = new Promise<void>((resolve) => {
      consumer.on(consumer.events.GROUP_JOIN, () => resolve());
    });
    await Promise.all([producer.connect(), consumer.connect()]);
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachMessage: ({ message }) => {
        channel.onStamps(message.value?.toString().slice(0, -ENVELOPE.length) ?? '');
        return Promise.resolve();
      },
    });
    await joined;
    return channel;
  }

  /** Sends something every `intervalMs`. */
  contender(name: string, intervalMs: number): Contender<BareSlot> {
    return {
      name,
      measure: async (until) => {
        const latencies: number[] = [];
        let sent = 0;
        this.onStamps = (text) => {
          const now = performance.now();
          for (const said of stampsIn(text)) latencies.push(now - said);
        };
        const timer = setInterval(() => {
          sent += 1;
          void this.producer.send({
            topic: this.topic,
            acks: 1,
            messages: [{ value: `${stamp()}${ENVELOPE}` }],
          });
        }, intervalMs);
        await reached(() => until() && latencies.length > 0);
        clearInterval(timer);
        await reached(() => latencies.length === sent);
        return { ...spreadOf(latencies), deltas: sent };
      },
    };
  }

  async close(): Promise<void> {
    await Promise.all([this.producer.disconnect(), this.consumer.disconnect()]);
  }
}

/** Looks again and again, until it is so. */
export async function reached(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
}
