import type { KafkaOptions } from '../connection/options.js';
import { DEFAULT_REQUEST_TIMEOUT_MS } from '../connection/options.js';
import { ProduceSession } from './produce-session.js';
import type { BaseOffsets } from './produce-session.js';
import { rejectionOf } from './rejection.js';
import type { Rejection } from './rejection.js';
import { SendQueue } from './send-queue.js';
import type { Group, ProducedMessage, SendBounds, SendOutcome } from './send-queue.js';
import { backOff } from '../waiting.js';

export interface OrderedProducerOptions {
  readonly topic: string;
  /**
   * Idempotent and acknowledged by every in-sync replica; else acknowledged by the leader alone.
   */
  readonly durable: boolean;
  /** What may wait; beyond either, `send` returns null and nothing is sent. */
  readonly maxPendingBytes: number;
  readonly maxPendingGroups?: number;
  /**
   * How long, in ms, a group may wait for its outcome before it is `lost`; without it a producer
   * never gives up.
   */
  readonly giveUpAfterMs?: number;
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

type Delivery =
  | { readonly type: 'written'; readonly offsets: BaseOffsets }
  | { readonly type: 'rejected'; readonly rejection: Rejection }
  | { readonly type: 'unknown'; readonly error: unknown };

/** The producer was closed before the outcome was known. */
export class ProducerClosed extends Error {
  override readonly name = 'ProducerClosed';
}

/**
 * Writes groups of messages to one topic. Groups of one partition are written first in, first out;
 * a group's messages stand next to each other, all or none. One send is outstanding; all that waits
 * meanwhile goes with the next. After any failure the kafkajs producer is thrown away and the same
 * groups are sent again before anything newer: a group may then be written twice, as a whole,
 * before any later group of its partition.
 */
export class OrderedProducer {
  private readonly queue: SendQueue;
  private readonly stop = new AbortController();
  private session: ProduceSession | null = null;
  private pumping: Promise<void> | null = null;
  /** Bytes of the groups that were taken from the queue and have no outcome yet. */
  private inHandBytes = 0;
  private failures = 0;

  constructor(
    private readonly kafka: KafkaOptions,
    private readonly options: OrderedProducerOptions,
  ) {
    this.queue = new SendQueue({ ...BOUNDS, ...options.bounds });
  }

  /** Null when too much waits already. Rejects only with `ProducerClosed`. */
  send(partition: number, messages: readonly ProducedMessage[]): Promise<SendOutcome> | null {
    if (this.stop.signal.aborted)
      return Promise.reject(new ProducerClosed('the producer is closed'));
    const bytes = bytesOf(messages);
    const { maxPendingBytes, maxPendingGroups = Infinity } = this.options;
    if (this.queue.bytes + this.inHandBytes + bytes > maxPendingBytes) return null;
    if (this.queue.groups >= maxPendingGroups) return null;
    return new Promise<SendOutcome>((settle, fail) => {
      this.queue.push({ partition, messages, bytes, since: Date.now(), settle, fail });
      this.pumping ??= this.pump();
    });
  }

  /**
   * Waits up to `graceMs` for what is pending; then what has no outcome rejects with
   * `ProducerClosed`.
   */
  async close(graceMs: number): Promise<void> {
    const timer = setTimeout(() => this.halt(), graceMs);
    await this.pumping;
    clearTimeout(timer);
    this.halt();
    await this.session?.close();
    this.session = null;
  }

  private halt(): void {
    if (!this.stop.signal.aborted) this.stop.abort();
    for (const group of this.queue.drain())
      group.fail(new ProducerClosed('closed before it was sent'));
    // A send in hand ends at once, its outcome unknown.
    if (this.inHandBytes > 0) this.session?.abandon();
  }

  private async pump(): Promise<void> {
    for (;;) {
      // Callers that an answer has woken, and others of the same turn of the event loop, still come
      // along.
      await new Promise(setImmediate);
      if (this.queue.groups === 0) break;
      const groups = this.queue.take();
      this.inHandBytes = groups.reduce((sum, group) => sum + group.bytes, 0);
      await this.deliver(groups);
      this.inHandBytes = 0;
    }
    this.pumping = null;
  }

  private async deliver(groups: readonly Group[]): Promise<void> {
    for (;;) {
      const delivery = await this.attempt(groups);
      if (delivery.type === 'written') {
        this.failures = 0;
        settleAll(groups, delivery.offsets);
        return;
      }
      if (delivery.type === 'rejected') {
        // Alone, each of them shows whether it is the guilty one.
        if (groups.length > 1) for (const group of groups) await this.deliver([group]);
        else for (const group of groups) group.settle({ type: 'rejected', ...delivery.rejection });
        return;
      }
      if (this.stop.signal.aborted) {
        for (const group of groups)
          group.fail(new ProducerClosed('closed before the outcome was known'));
        return;
      }
      const { giveUpAfterMs = Infinity } = this.options;
      const expired = Date.now() - giveUpAfterMs;
      const kept = groups.filter((group) => group.since > expired);
      for (const group of groups) if (group.since <= expired) group.settle({ type: 'lost' });
      this.failures += 1;
      this.kafka.onProblem(
        `writing to ${this.options.topic} failed ${this.failures} times in a row`,
        delivery.error,
      );
      await backOff(this.failures, this.stop.signal);
      if (kept.length === 0) return;
      groups = kept;
    }
  }

  private async attempt(groups: readonly Group[]): Promise<Delivery> {
    try {
      this.session ??= this.open();
      const messages = groups.flatMap(({ partition, messages }) =>
        messages.map((message) => ({ ...message, partition })),
      );
      return { type: 'written', offsets: await this.session.send(messages) };
    } catch (error) {
      this.session?.abandon();
      this.session = null;
      const rejection = rejectionOf(error);
      return rejection === null ? { type: 'unknown', error } : { type: 'rejected', rejection };
    }
  }

  private open(): ProduceSession {
    const { topic, durable, giveUpAfterMs } = this.options;
    const stallMs =
      giveUpAfterMs ?? 3 * (this.kafka.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS);
    return new ProduceSession(this.kafka, { topic, durable, stallMs });
  }
}

/** A partition's groups are one record batch: each group's place follows from the batch's. */
function settleAll(groups: readonly Group[], offsets: BaseOffsets): void {
  const next = new Map(offsets);
  for (const group of groups) {
    const base = next.get(group.partition) ?? null;
    const end = base === null ? null : base + group.messages.length;
    next.set(group.partition, end);
    group.settle({ type: 'written', offset: end === null ? null : end - 1 });
  }
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
