import { LIMITS } from '#libs/protocol';
import {
  bytesOf,
  checkTopic,
  ClusterClient,
  ensureTopic,
  GroupConsumer,
  OrderedProducer,
  PartitionEnds,
  partitionOfKey,
  protocolErrorType,
} from '#libs/kafka';
import type {
  KafkaOptions,
  MessageBatch,
  ProducedMessage,
  SendOutcome,
  TopicSpec,
} from '#libs/kafka';
import { backOff } from '#libs/timing';
import { EventLog, LogUnavailable, MAX_PENDING_BYTES } from '../ports/event-log.js';
import type {
  Append,
  AppendOutcome,
  LogReader,
  LogRecord,
  LogSubscription,
} from '../ports/event-log.js';
import { decodeRecord } from './kafka-event-log-record.js';
import { KafkaReadBarrier, overloaded } from './kafka-read-barrier.js';

export interface KafkaEventLogOptions {
  readonly kafka: KafkaOptions;
  /** Begins the names of the topic and of the consumer groups; `sbp` by default. */
  readonly prefix?: string;
  readonly partitions: number;
  readonly replication: number;
  readonly minInsyncReplicas: number;
  /**
   * Whether a missing topic is made; it is refused when it differs from these settings either way.
   */
  readonly create?: boolean;
  /** More let sends overlap; a session's appends always take the same one. 2 by default. */
  readonly producers?: number;
}

const ENDS_MS = 5000;
const CLOSE_MS = 5000;
const READ_TRIES = 10;

/** The topic of the turn log as these settings want it. */
export function turnsTopic(options: Omit<KafkaEventLogOptions, 'kafka'>): TopicSpec {
  return {
    topic: `${options.prefix ?? 'sbp'}.turns`,
    partitions: options.partitions,
    replication: options.replication,
    config: {
      'retention.ms': '-1',
      'cleanup.policy': 'delete',
      'min.insync.replicas': String(options.minInsyncReplicas),
      'max.message.bytes': String(LIMITS.logRecord),
    },
  };
}

/**
 * The turn log on Kafka: one topic, keyed by session id; an append is one or part of one record
 * batch.
 */
export class KafkaEventLog extends EventLog {
  readonly partitions: number;
  readonly description = 'kafka';
  private readonly topic: string;
  private readonly prefix: string;
  private readonly producers: readonly OrderedProducer[];
  private readonly ends: PartitionEnds;
  private readonly subscriptions = new Set<LogSubscription>();
  private readonly closing = new AbortController();
  private readonly barrier = new KafkaReadBarrier();

  private constructor(private readonly options: KafkaEventLogOptions) {
    super();
    const { kafka, producers = 2 } = options;
    this.partitions = options.partitions;
    this.prefix = options.prefix ?? 'sbp';
    this.topic = turnsTopic(options).topic;
    this.ends = new PartitionEnds(kafka, this.topic, ENDS_MS);
    this.producers = Array.from(
      { length: producers },
      () =>
        new OrderedProducer(kafka, {
          topic: this.topic,
          durable: true,
          maxPendingBytes: MAX_PENDING_BYTES / producers,
        }),
    );
  }

  /**
   * Rejects when the cluster cannot be reached, and with `TopicMismatch` when the topic is not as
   * the settings say.
   */
  static async open(options: KafkaEventLogOptions): Promise<KafkaEventLog> {
    const spec = turnsTopic(options);
    await (options.create === true
      ? ensureTopic(options.kafka, spec)
      : checkTopic(options.kafka, spec));
    const log = new KafkaEventLog(options);
    try {
      await log.check();
    } catch (error) {
      await log.close();
      throw error;
    }
    return log;
  }

  partitionOf(sessionId: string): number {
    return partitionOfKey(sessionId, this.partitions);
  }

  async append(events: Append): Promise<AppendOutcome> {
    const sessionId = events[0].session_id;
    const partition = this.partitionOf(sessionId);
    const messages = events.map((event): ProducedMessage => ({
      key: sessionId,
      value: Buffer.from(JSON.stringify(event)),
    }));
    const bytes = bytesOf(messages);
    if (bytes > LIMITS.logRecord) {
      return {
        type: 'rejected',
        reason: 'too_large',
        detail: `an append of ${bytes} bytes, above ${LIMITS.logRecord}`,
      };
    }
    if (events.some((event) => event.session_id !== sessionId))
      throw new Error('an append has events of one session');
    return await this.outcomeOf(
      partition,
      await this.barrier.behind(partition, bytes, () => this.send(partition, messages)),
    );
  }

  async end(partition: number): Promise<number> {
    return await this.ends.of(partition).catch(unavailable);
  }

  async subscribe(reader: LogReader): Promise<LogSubscription> {
    const { consumer } = reader;
    const group = await GroupConsumer.start(
      { ...this.options.kafka, onProblem: (problem, error) => reader.onProblem(problem, error) },
      {
        topic: this.topic,
        groupId: `${this.prefix}.${consumer}`,
        partitions: this.partitions,
        batchSize: reader.batchSize,
        position: (partition) => this.positionOf(reader, partition),
        handle: (batch) => this.handle(reader, batch),
        onProblem: (problem, error) => reader.onProblem(problem, error),
      },
      this.closing.signal,
    );
    const subscription: LogSubscription = {
      close: async () => {
        this.subscriptions.delete(subscription);
        await group.close();
      },
    };
    this.subscriptions.add(subscription);
    return subscription;
  }

  read(partition: number, from: number): AsyncIterable<readonly LogRecord[]> {
    const end = this.end(partition).finally(this.barrier.raise(partition));
    // Its failure is told to whoever iterates.
    end.catch(() => undefined);
    return this.readUntil(end, partition, from);
  }

  private async *readUntil(
    known: Promise<number>,
    partition: number,
    from: number,
  ): AsyncGenerator<readonly LogRecord[]> {
    const end = await known;
    let next = from;
    let failures = 0;
    let client: ClusterClient | null = null;
    try {
      while (next < end) {
        let records: LogRecord[];
        try {
          client ??= new ClusterClient(this.options.kafka, this.topic);
          const { messages } = await client.fetch(partition, next, 1000);
          records = messages.map((message) => decodeRecord(partition, message));
          failures = 0;
        } catch (error) {
          client?.abandon();
          client = null;
          failures += 1;
          if (protocolErrorType(error) === 'OFFSET_OUT_OF_RANGE') throw error;
          if (failures === READ_TRIES) unavailable(error);
          await backOff(failures);
          continue;
        }
        const batch = records.filter((record) => record.position.offset < end);
        for (const { position } of batch) {
          if (position.offset !== next)
            throw new Error(`partition ${partition} has ${position.offset} after ${next - 1}`);
          next += 1;
        }
        if (batch.length > 0) yield batch;
      }
    } finally {
      await client?.close();
    }
  }

  get outage(): string | null {
    for (const { outage } of this.producers) if (outage !== null) return outage;
    return null;
  }

  outageOf(sessionId: string): string | null {
    const partition = this.partitionOf(sessionId);
    return this.producerOf(partition).outageOf(partition);
  }

  async check(): Promise<void> {
    await this.ends.all().catch(unavailable);
  }

  async close(): Promise<void> {
    this.closing.abort();
    await Promise.all([...this.subscriptions].map((subscription) => subscription.close()));
    await Promise.all(this.producers.map((producer) => producer.close(CLOSE_MS)));
    await this.ends.close();
  }

  private send(partition: number, messages: readonly ProducedMessage[]): Promise<SendOutcome> {
    return this.producerOf(partition).send(partition, messages) ?? Promise.reject(overloaded());
  }

  private producerOf(partition: number): OrderedProducer {
    const producer = this.producers[partition % this.producers.length];
    if (producer === undefined) throw new Error(`partition ${partition} has no producer`);
    return producer;
  }

  private async outcomeOf(partition: number, sent: SendOutcome): Promise<AppendOutcome> {
    switch (sent.type) {
      case 'written':
        return {
          type: 'appended',
          position: { partition, offset: sent.offset ?? (await this.lastOffset(partition)) },
        };
      case 'rejected':
        return {
          type: 'rejected',
          reason: sent.reason === 'too_large' ? 'too_large' : 'not_authorised',
          detail: sent.detail,
        };
      case 'lost':
        throw new Error('an append was given up');
    }
  }

  /**
   * For an append that is written without a known place: whoever waits for the last record has
   * waited for it too.
   */
  private async lastOffset(partition: number): Promise<number> {
    for (let failures = 1; ; failures += 1) {
      try {
        return (await this.end(partition)) - 1;
      } catch (error) {
        if (this.closing.signal.aborted) throw error;
        this.options.kafka.onProblem(`the end of partition ${partition} cannot be had`, error);
        await backOff(failures, this.closing.signal);
      }
    }
  }

  /** Past the end, kafkajs would silently begin at the start of the log. */
  private async positionOf(reader: LogReader, partition: number): Promise<number> {
    const position = await reader.position(partition);
    const end = await this.end(partition);
    if (position <= end) return position;
    throw new Error(
      `partition ${partition} ends at ${end}, before ${reader.consumer}'s position ${position}: records were lost`,
    );
  }

  private async handle(reader: LogReader, batch: MessageBatch): Promise<'done' | 'stale'> {
    const { partition, from, next, live } = batch;
    const records = batch.messages.map((message) => decodeRecord(partition, message));
    return await reader.handle({ consumer: reader.consumer, partition, from, next, records, live });
  }
}

/** @throws LogUnavailable: whatever Kafka's client says of a cluster that does not answer */
function unavailable(cause: unknown): never {
  const reason = cause instanceof Error ? cause.message : String(cause);
  throw new LogUnavailable(`Kafka does not answer: ${reason}`, { cause });
}
