import { AssignedPartitions } from './assigned-partitions.js';
import { GroupMembership } from './group-membership.js';
import type { KafkaOptions } from '../connection/options.js';
import { backOff, within } from '#libs/timing';
import type { GroupConsumerOptions } from './group-reader.js';

const CLOSE_MS = 10_000;

/**
 * Shares a topic's partitions with the other members of its group. Positions are the reader's own,
 * never Kafka's committed ones: nothing is committed to Kafka. When kafkajs crashes or makes no
 * progress, it is thrown away and a new client joins.
 */
export class GroupConsumer {
  private readonly stop = new AbortController();
  private readonly joined = Promise.withResolvers<undefined>();
  private readonly partitions: AssignedPartitions;
  private membership: GroupMembership | null = null;
  private readonly running: Promise<void>;

  private constructor(
    private readonly kafka: KafkaOptions,
    private readonly options: GroupConsumerOptions,
  ) {
    this.partitions = new AssignedPartitions(options);
    this.running = this.run();
  }

  /**
   * Resolves when the group was joined for the first time, however long the cluster cannot be
   * reached; rejects when `signal` ends that wait.
   */
  static async start(
    kafka: KafkaOptions,
    options: GroupConsumerOptions,
    signal?: AbortSignal,
  ): Promise<GroupConsumer> {
    const consumer = new GroupConsumer(kafka, options);
    const onAbort = (): void =>
      consumer.joined.reject(new Error(`stopped before ${options.groupId} was joined`));
    if (signal?.aborted === true) onAbort();
    signal?.addEventListener('abort', onAbort);
    try {
      await consumer.joined.promise;
      return consumer;
    } catch (error) {
      await consumer.close();
      throw error;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Stops fetching and leaves the group; resolves when the batches in hand are done. */
  async close(): Promise<void> {
    this.stop.abort();
    this.partitions.revokeAll();
    await this.partitions.idle();
    await within(this.running, CLOSE_MS).catch(() => undefined);
  }

  private async run(): Promise<void> {
    let failures = 0;
    while (!this.isStopped()) {
      this.membership = new GroupMembership(this.kafka, this.options, this.partitions, () => {
        failures = 0;
        this.joined.resolve(undefined);
      });
      const reason = await this.membership.live(this.stop.signal);
      if (this.isStopped()) return;
      failures += 1;
      this.options.onProblem(
        `${this.options.groupId} lost its Kafka client and opens another`,
        reason,
      );
      await backOff(failures, this.stop.signal);
    }
  }

  private isStopped(): boolean {
    return this.stop.signal.aborted;
  }
}
