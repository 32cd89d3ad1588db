import type { KafkaMessage } from 'kafkajs';

/** Consecutive messages of one partition, at least one. */
export interface MessageBatch {
  readonly partition: number;
  /** The position that was expected, and is the first message's. */
  readonly from: number;
  readonly next: number;
  readonly messages: readonly KafkaMessage[];
  /** Whether it ends at the partition's end as known when it was fetched. */
  readonly live: boolean;
}

export interface GroupConsumerOptions {
  readonly topic: string;
  readonly groupId: string;
  /** How many partitions the topic has: as many handlers may run at once. */
  readonly partitions: number;
  /** The most messages in a batch. */
  readonly batchSize: number;
  /**
   * How long, in ms, kafkajs may show no sign of life before another client replaces it; 15,000 by
   * default, and a join is given more.
   */
  readonly stallMs?: number;
  /** The stored position of a partition. */
  position(partition: number): Promise<number>;
  /**
   * `stale` and a throw lead back to the stored position. One batch of a partition is in hand at a
   * time.
   */
  handle(batch: MessageBatch): Promise<'done' | 'stale'>;
  onProblem(problem: string, error?: unknown): void;
}
