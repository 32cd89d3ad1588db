import { PartitionAssigners } from 'kafkajs';
import type { Consumer, EachBatchPayload } from 'kafkajs';
import type { AssignedPartitions } from './assigned-partitions.js';
import { BOUNDED_RETRY, KafkaConnection } from '../connection/connection.js';
import type { GroupConsumerOptions } from './group-reader.js';
import type { KafkaOptions } from '../connection/options.js';
import { within } from '#libs/timing';

const STALL_MS = 15_000;
/** A join waits for the other members, and for the session of one that died. */
const REBALANCE_MS = 10_000;
const JOIN_MS = 2 * REBALANCE_MS;
const CHECK_MS = 1000;
const LEAVE_MS = 2000;

/**
 * The life of one kafkajs consumer as a member of the group, up to its crash, its stall or the
 * owner's stop.
 */
export class GroupMembership {
  private readonly connection: KafkaConnection;
  private readonly consumer: Consumer;
  private readonly ended = Promise.withResolvers<unknown>();
  private joining = true;
  private lastHeartbeat = Date.now();
  private lastFetch = Date.now();

  constructor(
    kafka: KafkaOptions,
    private readonly options: GroupConsumerOptions,
    private readonly partitions: AssignedPartitions,
    private readonly onJoined: () => void,
  ) {
    this.connection = new KafkaConnection(kafka, BOUNDED_RETRY);
    this.consumer = this.connection.kafka.consumer({
      groupId: options.groupId,
      allowAutoTopicCreation: false,
      partitionAssigners: [PartitionAssigners.roundRobin],
      // A broker's least; a killed member holds its partitions that long.
      sessionTimeout: 6000,
      rebalanceTimeout: REBALANCE_MS,
      heartbeatInterval: 1000,
      maxBytesPerPartition: 262_144,
      minBytes: 1,
      maxWaitTimeInMs: 100,
      // One way to begin again: a new client, of the owner's.
      retry: { ...BOUNDED_RETRY, restartOnFailure: () => Promise.resolve(false) },
    });
  }

  /** Joins and reads; resolves with the reason why it ended. */
  async live(stop: AbortSignal): Promise<unknown> {
    const onStop = (): void => this.ended.resolve('stopped');
    if (stop.aborted) onStop();
    stop.addEventListener('abort', onStop);
    this.listen();
    const watchdog = setInterval(() => this.checkProgress(), CHECK_MS);
    this.begin().catch((error: unknown) => this.ended.resolve(error));
    const reason = await this.ended.promise;
    clearInterval(watchdog);
    stop.removeEventListener('abort', onStop);
    this.partitions.revokeAll();
    // Leaving frees the partitions at once; without it the others wait for the session's timeout.
    await within(this.consumer.disconnect(), LEAVE_MS).catch(() => undefined);
    this.connection.abandon();
    return reason;
  }

  private async begin(): Promise<void> {
    const { topic, partitions } = this.options;
    await this.consumer.connect();
    // kafkajs falls back to the beginning where it has no valid position, and the partition's guard
    // raises the alarm.
    await this.consumer.subscribe({ topic, fromBeginning: true });
    await this.consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: partitions,
      eachBatch: (payload) => this.take(payload),
    });
  }

  private listen(): void {
    const { GROUP_JOIN, REBALANCING, HEARTBEAT, FETCH, CRASH } = this.consumer.events;
    this.consumer.on(GROUP_JOIN, ({ payload }) => {
      this.joining = false;
      this.lastHeartbeat = this.lastFetch = Date.now();
      const { topic } = this.options;
      this.partitions.assign(payload.memberAssignment[topic] ?? [], {
        pause: (partition) => this.consumer.pause([{ topic, partitions: [partition] }]),
        resumeAt: (partition, offset) => {
          this.consumer.seek({ topic, partition, offset: String(offset) });
          this.consumer.resume([{ topic, partitions: [partition] }]);
        },
      });
      this.onJoined();
    });
    this.consumer.on(REBALANCING, () => {
      this.joining = true;
      this.lastHeartbeat = this.lastFetch = Date.now();
    });
    this.consumer.on(HEARTBEAT, () => {
      this.lastHeartbeat = Date.now();
    });
    this.consumer.on(FETCH, () => {
      this.lastFetch = Date.now();
    });
    this.consumer.on(CRASH, ({ payload }) => this.ended.resolve(payload.error));
  }

  private async take(payload: EachBatchPayload): Promise<void> {
    const { batch } = payload;
    await this.partitions.take({
      partition: batch.partition,
      messages: batch.messages,
      end: Number(batch.highWatermark),
      current: () => payload.isRunning() && !payload.isStale(),
      resolve: (offset) => payload.resolveOffset(String(offset)),
      heartbeat: () => payload.heartbeat(),
    });
  }

  /**
   * kafkajs can stop fetching after a lost connection without a word. A slow handler is not its
   * fault, but keeps heartbeats going.
   */
  private checkProgress(): void {
    const oldest = Date.now() - (this.joining ? JOIN_MS : (this.options.stallMs ?? STALL_MS));
    if (this.lastHeartbeat < oldest)
      this.ended.resolve(new Error('the group consumer sends no heartbeats'));
    if (this.lastFetch < oldest && !this.partitions.handling)
      this.ended.resolve(new Error('the group consumer does not fetch'));
  }
}
