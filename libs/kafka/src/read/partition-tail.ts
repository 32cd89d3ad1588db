import type { KafkaMessage } from 'kafkajs';
import { ClusterClient } from './cluster-client.js';
import type { Fetched } from './cluster-client.js';
import type { KafkaOptions } from '../connection/options.js';
import { DEFAULT_REQUEST_TIMEOUT_MS } from '../connection/options.js';
import { protocolErrorType } from '../produce/rejection.js';
import { backOff, deadline } from '#libs/timing';

/**
 * How long, in ms, a broker may hold a fetch while nothing is there: bounds how late a closed
 * reader is noticed, not latency.
 */
const WAIT_MS = 1000;

/**
 * Follows a partition from its end, for messages that may be lost: after an outage it goes on where
 * it was, and where the broker has deleted that, at the end.
 */
export class PartitionTail {
  private readonly stop = new AbortController();
  private client: ClusterClient;
  private next = 0;
  private failures = 0;
  private following: Promise<void> | null = null;

  private constructor(
    private readonly options: KafkaOptions,
    private readonly topic: string,
    private readonly partition: number,
    private readonly onMessages: (messages: readonly KafkaMessage[]) => void,
  ) {
    this.client = new ClusterClient(options, topic);
  }

  /**
   * Resolves when everything written from now on will be handed over; rejects when the partition
   * cannot be read now.
   */
  static async open(
    options: KafkaOptions,
    topic: string,
    partition: number,
    onMessages: (messages: readonly KafkaMessage[]) => void,
  ): Promise<PartitionTail> {
    const tail = new PartitionTail(options, topic, partition, onMessages);
    try {
      tail.next = await tail.end();
    } catch (error) {
      tail.client.abandon();
      throw error;
    }
    tail.following = tail.follow();
    return tail;
  }

  async close(): Promise<void> {
    this.stop.abort();
    this.client.abandon();
    await this.following;
  }

  private async end(): Promise<number> {
    const { ends } = await this.bounded(this.client.ends());
    const end = ends.get(this.partition);
    if (end === undefined)
      throw new Error(`the end of partition ${this.partition} of ${this.topic} is not known`);
    return end;
  }

  private async follow(): Promise<void> {
    while (!this.stop.signal.aborted) {
      try {
        const { messages } = await this.fetch();
        this.failures = 0;
        const last = messages.at(-1);
        if (last === undefined || this.isStopped()) continue;
        this.next = Number(last.offset) + 1;
        this.onMessages(messages);
      } catch (error) {
        await this.recover(error);
      }
    }
  }

  private async fetch(): Promise<Fetched> {
    return await this.bounded(this.client.fetch(this.partition, this.next, WAIT_MS));
  }

  private async recover(error: unknown): Promise<void> {
    if (this.isStopped()) return;
    this.failures += 1;
    this.options.onProblem(`reading ${this.topic} failed ${this.failures} times in a row`, error);
    this.client.abandon();
    await backOff(this.failures, this.stop.signal);
    if (this.isStopped()) return;
    this.client = new ClusterClient(this.options, this.topic);
    if (protocolErrorType(error) === 'OFFSET_OUT_OF_RANGE')
      this.next = await this.end().catch(() => this.next);
  }

  private isStopped(): boolean {
    return this.stop.signal.aborted;
  }

  private bounded<T>(work: Promise<T>): Promise<T> {
    const timeoutMs = (this.options.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS) + 2 * WAIT_MS;
    return deadline(`reading ${this.topic}`, work, timeoutMs, this.stop.signal);
  }
}
