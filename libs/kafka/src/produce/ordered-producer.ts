/*
 * Writes to one topic: in order, and never giving up on what has no known outcome.
 *
 * A message's way: `send` queues a group -> the shared lane sends it with all that waits
 * -> written: its outcome; or the send failed: its partition takes a detour.
 *
 * Who owns what:
 * - OrderedProducer: which lane a partition is in, and the bounds of what may wait.
 * - SharedLane: one queue and one kafkajs producer for all partitions that work. It sends a group
 *   once, and keeps nothing of a send that failed.
 * - PartitionLane: the detour of one partition, with a kafkajs producer of its own. It repeats the
 *   failed groups until each has an outcome, sends what came meanwhile, and ends when nothing
 *   waits; then the partition is in the shared lane again.
 * - ProduceSession: one kafkajs producer, up to its first failure.
 *
 * Invariants:
 * 1. A partition is in one lane at a time, and changes it with everything of it that waits, so its
 *    groups are written first in, first out.
 * 2. A lane has one send outstanding. An idempotent kafkajs producer with several loses messages
 *    when an answer is lost.
 * 3. After any failure the kafkajs producer is thrown away. It has then taken back sequence numbers
 *    that the broker may have used, and its next send would pass for a repeat of the last.
 * 4. What is repeated is repeated whole, and before anything newer of its partition. So a group may
 *    stand in the log twice, and readers drop the second.
 * 5. A partition that takes nothing delays the others once, by `SHARED_PATIENCE_MS` at most. It is
 *    the reason for the two kinds of lanes: one connection while all is well, instead of one for
 *    each partition, and sends that many partitions share.
 */
import type { KafkaOptions } from '../connection/options.js';
import { PartitionLane } from './partition-lane.js';
import { ProducerClosed } from './produce-lane.js';
import type { LaneOptions, ProduceLane } from './produce-lane.js';
import type { Group, ProducedMessage, SendBounds, SendOutcome } from './send-queue.js';
import { SharedLane } from './shared-lane.js';
import type { Detour } from './shared-lane.js';

export interface OrderedProducerOptions extends Pick<
  LaneOptions,
  'topic' | 'durable' | 'giveUpAfterMs'
> {
  /** What may wait or be on its way; beyond either, `send` returns null and nothing is sent. */
  readonly maxPendingBytes: number;
  readonly maxPendingGroups?: number;
  readonly bounds?: Partial<SendBounds>;
}

/** A record batch stays within a reader's fetch of one partition (`maxBytesPerPartition`). */
const BOUNDS: SendBounds = {
  bytesPerPartition: 240 * 1024,
  bytesPerSend: 16 * 1024 * 1024,
  messagesPerPartition: 500,
};

/** Upper bound of what a record and its share of the batch's header add to key and value. */
const RECORD_OVERHEAD_BYTES = 96;

/** A partition is down that took nothing for so long, in ms, though something waited. */
const OUTAGE_MS = 3000;

/**
 * Writes groups of messages to one topic. Groups of one partition are written first in, first out;
 * a group's messages stand next to each other, all or none. A group may be written twice, as a
 * whole, before any later group of its partition.
 */
export class OrderedProducer {
  private readonly shared: SharedLane;
  private readonly detours = new Map<number, PartitionLane>();
  private readonly laneOptions: LaneOptions;
  private readonly stop = new AbortController();
  private pendingBytes = 0;
  private pendingGroups = 0;

  constructor(
    private readonly kafka: KafkaOptions,
    private readonly options: OrderedProducerOptions,
  ) {
    const { topic, durable, giveUpAfterMs } = options;
    this.laneOptions = {
      topic,
      durable,
      ...(giveUpAfterMs === undefined ? {} : { giveUpAfterMs }),
      bounds: { ...BOUNDS, ...options.bounds },
      stop: this.stop.signal,
    };
    this.shared = new SharedLane(kafka, this.laneOptions, (detour) => this.begin(detour));
  }

  /** Null when too much waits already. Rejects only with `ProducerClosed`. */
  send(partition: number, messages: readonly ProducedMessage[]): Promise<SendOutcome> | null {
    if (this.stop.signal.aborted)
      return Promise.reject(new ProducerClosed('the producer is closed'));
    const bytes = bytesOf(messages);
    const { maxPendingBytes, maxPendingGroups = Infinity } = this.options;
    if (this.pendingBytes + bytes > maxPendingBytes) return null;
    if (this.pendingGroups >= maxPendingGroups) return null;
    this.pendingBytes += bytes;
    this.pendingGroups += 1;
    const { promise, resolve, reject } = Promise.withResolvers<SendOutcome>();
    const settle = (outcome: SendOutcome): void => {
      this.forget(bytes);
      resolve(outcome);
    };
    const fail = (error: Error): void => {
      this.forget(bytes);
      reject(error);
    };
    const lane = this.detours.get(partition) ?? this.shared;
    lane.push({ partition, messages, bytes, since: Date.now(), settle, fail });
    return promise;
  }

  /**
   * Why the partition is believed to be down: something was to be written to it, and nothing was
   * for more than 3 s. Null while it works, as far as is known, and again from the next success on.
   */
  outageOf(partition: number): string | null {
    const detour = this.detours.get(partition);
    if (detour !== undefined) return outageOf(detour, this.partitionName(partition));
    return outageOf(this.shared, `topic ${this.options.topic}`);
  }

  /** `outageOf` of any partition. */
  get outage(): string | null {
    for (const [partition, lane] of this.detours) {
      const outage = outageOf(lane, this.partitionName(partition));
      if (outage !== null) return outage;
    }
    return outageOf(this.shared, `topic ${this.options.topic}`);
  }

  /**
   * Waits up to `graceMs` for what is pending; then what has no outcome rejects with
   * `ProducerClosed`.
   */
  async close(graceMs: number): Promise<void> {
    const timer = setTimeout(() => this.halt(), graceMs);
    // A send that fails meanwhile opens a detour, so the shared lane comes first.
    await this.shared.idle();
    await Promise.all([...this.detours.values()].map((lane) => lane.idle()));
    clearTimeout(timer);
    this.halt();
    await this.shared.close();
  }

  private begin({ partition, groups, ...cause }: Detour): void {
    if (this.stop.signal.aborted) {
      for (const group of groups)
        group.fail(new ProducerClosed('closed before the outcome was known'));
      return;
    }
    const lane = new PartitionLane(this.kafka, this.laneOptions, { partition, ...cause }, () =>
      this.detours.delete(partition),
    );
    this.detours.set(partition, lane);
    lane.push(...groups);
  }

  private halt(): void {
    this.stop.abort();
    for (const lane of [this.shared, ...this.detours.values()]) lane.halt();
  }

  private forget(bytes: Group['bytes']): void {
    this.pendingBytes -= bytes;
    this.pendingGroups -= 1;
  }

  private partitionName(partition: number): string {
    return `partition ${partition} of ${this.options.topic}`;
  }
}

function outageOf({ trying }: ProduceLane, name: string): string | null {
  if (trying === null) return null;
  const ms = Date.now() - trying.since;
  if (ms <= OUTAGE_MS) return null;
  const reason = trying.error instanceof Error ? `: ${trying.error.message}` : '';
  return `${name} has taken nothing for ${Math.floor(ms / 1000)} s${reason}`;
}

/** Upper bound of the bytes that a record batch of these messages has. */
export function bytesOf(messages: readonly ProducedMessage[]): number {
  let bytes = 0;
  for (const { key, value, headers } of messages) {
    bytes += value.length + (key === null ? 0 : Buffer.byteLength(key)) + RECORD_OVERHEAD_BYTES;
    for (const [name, header] of Object.entries(headers ?? {}))
      bytes += name.length + String(header).length + 10;
  }
  return bytes;
}
