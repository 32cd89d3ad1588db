import { PartitionAssigners } from 'kafkajs';
import type { Cluster, Consumer, KafkaMessage } from 'kafkajs';
import { BOUNDED_RETRY, KafkaConnection } from '../connection/connection.js';
import type { KafkaOptions } from '../connection/options.js';
import { deadline, within } from '#libs/timing';

export interface Fetched {
  readonly messages: readonly KafkaMessage[];
  /** The offset after the partition's last durable record, as the broker knew it. */
  readonly end: number;
}

export interface PartitionOffsets {
  readonly ends: ReadonlyMap<number, number>;
  /** Whether each leader that is known has answered; another client may know others. */
  readonly complete: boolean;
}

/** What a broker answers to a fetch, as far as it is used here; kafkajs leaves it untyped. */
interface FetchAnswer {
  readonly responses: readonly {
    readonly partitions: readonly {
      readonly highWatermark: string;
      readonly messages: readonly KafkaMessage[];
    }[];
  }[];
}

const CLOSE_MS = 1000;
/** How long, in ms, one leader may keep the ends of the others' partitions waiting. */
const LEADER_MS = 2000;

/**
 * Reads one topic without a consumer group. kafkajs offers that only through a group, whose join
 * takes hundreds of ms and leaves a group behind; but it hands its cluster to a partition assigner,
 * and that is all this takes from the consumer it makes. Any failure may leave it useless: its
 * owner abandons it and opens another.
 */
export class ClusterClient {
  private readonly connection: KafkaConnection;
  private readonly consumer: Consumer;
  private readonly cluster: Cluster;
  private connected: Promise<void> | null = null;

  constructor(
    options: KafkaOptions,
    private readonly topic: string,
  ) {
    this.connection = new KafkaConnection(options, BOUNDED_RETRY);
    const offered: Cluster[] = [];
    this.consumer = this.connection.kafka.consumer({
      groupId: 'none',
      allowAutoTopicCreation: false,
      partitionAssigners: [
        (config) => {
          offered.push(config.cluster);
          return PartitionAssigners.roundRobin(config);
        },
      ],
    });
    const [cluster] = offered;
    if (cluster === undefined) throw new Error('kafkajs did not offer its cluster');
    this.cluster = cluster;
  }

  /**
   * By partition, the offset after the last durable record. A partition whose leader is not known
   * or does not answer is missing. Rejects where no leader answers.
   */
  async ends(): Promise<PartitionOffsets> {
    await this.connect();
    await this.cluster.refreshMetadataIfNecessary();
    const partitions = this.cluster
      .findTopicPartitionMetadata(this.topic)
      .map((known) => known.partitionId);
    // One request to each leader: one that is away costs only its own partitions.
    const leaders = Object.values(this.cluster.findLeaderForPartitions(this.topic, partitions));
    const answers = await Promise.allSettled(leaders.map((led) => this.endsOf(led)));
    const ends = new Map<number, number>();
    const failures: unknown[] = [];
    for (const answer of answers) {
      if (answer.status === 'rejected') failures.push(answer.reason);
      else for (const [partition, end] of answer.value) ends.set(partition, end);
    }
    if (ends.size === 0) throw new AggregateError(failures, `no leader of ${this.topic} answers`);
    return { ends, complete: failures.length === 0 };
  }

  /**
   * Records from `from` on, if need be after waiting up to `waitMs` for the first; a larger record
   * than `maxBytes` comes alone.
   */
  async fetch(
    partition: number,
    from: number,
    waitMs: number,
    maxBytes = 1024 * 1024,
  ): Promise<Fetched> {
    await this.connect();
    await this.cluster.refreshMetadataIfNecessary();
    const [leader] = Object.keys(this.cluster.findLeaderForPartitions(this.topic, [partition]));
    if (leader === undefined)
      throw new Error(`partition ${partition} of ${this.topic} has no leader`);
    const broker = await this.cluster.findBroker({ nodeId: leader });
    const answer = (await broker.fetch({
      maxWaitTime: waitMs,
      minBytes: 1,
      maxBytes,
      topics: [
        { topic: this.topic, partitions: [{ partition, fetchOffset: String(from), maxBytes }] },
      ],
    })) as FetchAnswer;
    const fetched = answer.responses[0]?.partitions[0];
    if (fetched === undefined)
      throw new Error(`a fetch of partition ${partition} of ${this.topic} had no answer`);
    // A broker sends whole record batches, from the one that holds `from`.
    const messages = fetched.messages.filter((message) => Number(message.offset) >= from);
    return { messages, end: Number(fetched.highWatermark) };
  }

  abandon(): void {
    this.connection.abandon();
  }

  async close(): Promise<void> {
    await within(this.consumer.disconnect(), CLOSE_MS).catch(() => undefined);
    this.connection.abandon();
  }

  private async endsOf(partitions: readonly number[]): Promise<ReadonlyMap<number, number>> {
    const asked = partitions.map((partition) => ({ partition }));
    const request = this.cluster.fetchTopicsOffset([
      { topic: this.topic, partitions: asked, fromBeginning: false },
    ]);
    const [offsets] = await deadline(`asking for ends of ${this.topic}`, request, LEADER_MS);
    return new Map(offsets?.partitions.map(({ partition, offset }) => [partition, Number(offset)]));
  }

  private connect(): Promise<void> {
    this.connected ??= this.consumer.connect().then(() => this.cluster.addTargetTopic(this.topic));
    return this.connected;
  }
}
