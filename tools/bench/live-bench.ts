import { randomUUID } from 'node:crypto';
import { Kafka, logLevel } from 'kafkajs';
import type { Consumer, Producer } from 'kafkajs';
import { createTopic } from '#libs/kafka';
import type { Report } from './report.js';
import { digits, rounded } from './report.js';
import type { Rig } from './rig.js';
import { interleaved } from './rounds.js';
import type { Contender } from './rounds.js';
import { stamp, stampsIn } from './stamping-model.js';
import type { StampingModel } from './stamping-model.js';
import { median, medianSpread, spreadOf } from './statistics.js';
import type { Spread } from './statistics.js';
import { WatchedTurn } from './watched-turn.js';

const ROUNDS = 6;
/** A fast model. */
const INTERVAL_MS = 10;
/** As long as a mailbox waits at the broker for something to come. */
const FETCH_WAIT_MS = 1000;
/** What a live message says besides its text. */
const ENVELOPE = 'x'.repeat(280);

interface Slot extends Spread {
  readonly deltas: number;
}

/**
 * From the model's delta to the surface's socket, against produce → consume of kafkajs at the same
 * pace.
 */
export async function liveBench(rig: Rig, seconds: number): Promise<Report> {
  const model = await rig.stampingModel();
  const stack = await rig.stack(model.url);
  const embedded = await rig.embedded('embedded-live', model.url);
  rig.say('Measuring live output …');
  model.pace(INTERVAL_MS);
  const bare = await BareChannel.open(await rig.kafkaBrokers());
  const contenders = [
    bare.contender('bare kafkajs'),
    surfaceContender('stack', model, stack.url),
    surfaceContender('embedded', model, embedded.url),
  ];
  const slotMs = (seconds * 1000) / 2 / (contenders.length * (ROUNDS + 1));
  const slots = await interleaved(contenders, ROUNDS, slotMs);
  await bare.close();
  return reportOf(slots);
}

function surfaceContender(name: string, model: StampingModel, url: string): Contender<Slot> {
  return {
    name,
    measure: async (until) => {
      const latencies: number[] = [];
      // What the model said before the surface was watching came late for good reason.
      let watchingSince: number | null = null;
      const turn = await WatchedTurn.begin(url, url, ({ delta }) => {
        const now = performance.now();
        for (const said of stampsIn(delta)) {
          if (watchingSince !== null && said > watchingSince) latencies.push(now - said);
        }
        watchingSince ??= now;
      });
      await reached(() => until() && latencies.length > 0);
      model.finish();
      await turn.end();
      return { ...spreadOf(latencies), deltas: latencies.length };
    },
  };
}

/**
 * A topic of one partition, written with acks=1 by one kafkajs producer and read by one consumer.
 */
class BareChannel {
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

  contender(name: string): Contender<Slot> {
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
        }, INTERVAL_MS);
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

async function reached(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
}

function reportOf(slots: ReadonlyMap<string, readonly Slot[]>): Report {
  const bare = slots.get('bare kafkajs') ?? [];
  const rows = [...slots].map(([name, rounds]) => {
    const { p50, p99 } = medianSpread(rounds);
    return {
      name,
      p50: rounded(p50),
      p99: rounded(p99),
      timesBare: {
        p50: rounded(
          median(rounds.map((slot, round) => slot.p50 / (bare[round]?.p50 ?? Number.NaN))),
        ),
        p99: rounded(
          median(rounds.map((slot, round) => slot.p99 / (bare[round]?.p99 ?? Number.NaN))),
        ),
      },
      deltas: rounds.reduce((sum, { deltas }) => sum + deltas, 0),
    };
  });
  return {
    title: `From the model's delta to the surface, a delta every ${INTERVAL_MS} ms, in ms`,
    columns: ['', 'p50', 'p99', '× bare: p50', 'p99', 'deltas'],
    rows: rows.map(({ name, p50, p99, timesBare, deltas }) => [
      name,
      ...[p50, p99, timesBare.p50, timesBare.p99].map(digits),
      String(deltas),
    ]),
    results: rows,
    aims: rows
      .filter(({ name }) => name === 'stack')
      .flatMap(({ timesBare }) => [
        {
          what: 'delta → surface, p50 to bare',
          got: timesBare.p50,
          comparison: '≤',
          aim: 2,
          unit: '×',
        } as const,
        {
          what: 'delta → surface, p99 to bare',
          got: timesBare.p99,
          comparison: '≤',
          aim: 2,
          unit: '×',
        } as const,
      ]),
  };
}
