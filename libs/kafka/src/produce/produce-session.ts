import { Partitioners } from 'kafkajs';
import type { Message, Producer } from 'kafkajs';
import { BOUNDED_RETRY, ENDLESS_RETRY, KafkaConnection } from '../connection/connection.js';
import { DEFAULT_REQUEST_TIMEOUT_MS } from '../connection/options.js';
import type { KafkaOptions } from '../connection/options.js';
import { deadline, within } from '#libs/timing';

/**
 * What the messages of one partition got; a null offset where the broker knew the batch but not any
 * more its place.
 */
export type BaseOffsets = ReadonlyMap<number, number | null>;

export interface ProduceSettings {
  readonly topic: string;
  /** Idempotent, and acknowledged by every in-sync replica; else by the leader alone. */
  readonly durable: boolean;
  /** How long, in ms, an open or a send may take before it is thought to hang. */
  readonly stallMs: number;
}

/**
 * The life of one kafkajs producer, up to its first failure: one send at a time; after any
 * rejection its owner abandons it, since kafkajs has then taken back sequence numbers that the
 * broker may have used, and the next send would pass for a repeat of the last.
 */
export class ProduceSession {
  private readonly requestTimeoutMs: number;
  private readonly connection: KafkaConnection;
  private readonly producer: Producer;
  private readonly gone = new AbortController();
  private connected: Promise<void> | null = null;

  constructor(
    options: KafkaOptions,
    private readonly settings: ProduceSettings,
  ) {
    const retry = settings.durable ? ENDLESS_RETRY : { ...BOUNDED_RETRY, retries: 1 };
    this.requestTimeoutMs = options.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS;
    this.connection = new KafkaConnection(options, retry);
    this.producer = this.connection.kafka.producer({
      idempotent: settings.durable,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      createPartitioner: Partitioners.DefaultPartitioner,
      retry,
    });
  }

  /**
   * Resolves when all of it is written; each partition's messages are one record batch, in the
   * order given. A partition that is missing in the result was not sent: it had no leader, or its
   * leader moved between kafkajs's tries to a broker that had already answered.
   */
  async send(messages: readonly (Message & { partition: number })[]): Promise<BaseOffsets> {
    const { topic, durable } = this.settings;
    this.connected ??= this.producer.connect();
    await this.bounded('connecting a producer', this.connected);
    // The broker answers for itself before the client stops listening.
    const timeout = Math.ceil(this.requestTimeoutMs * 0.8);
    const sent = this.producer.send({
      topic,
      messages: [...messages],
      acks: durable ? -1 : 1,
      timeout,
    });
    const results = await this.bounded('a send', sent);
    const offsets = new Map<number, number | null>();
    for (const { partition, baseOffset } of results) {
      const offset = baseOffset === undefined ? -1 : Number(baseOffset);
      offsets.set(partition, offset < 0 ? null : offset);
    }
    return offsets;
  }

  /** Ends it at once: a send in hand rejects, its outcome unknown. */
  abandon(): void {
    this.gone.abort();
    this.connection.abandon();
  }

  async close(): Promise<void> {
    await within(this.producer.disconnect(), 1000).catch(() => undefined);
    this.abandon();
  }

  private bounded<T>(what: string, work: Promise<T>): Promise<T> {
    return deadline(what, work, this.settings.stallMs, this.gone.signal);
  }
}
