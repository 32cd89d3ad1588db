import type { Message } from 'kafkajs';
import type { Rejection } from './rejection.js';

export interface ProducedMessage extends Message {
  readonly key: string | null;
  readonly value: Buffer;
}

export type SendOutcome =
  /** `offset` is the last message's; null where only its being written is known. */
  | { readonly type: 'written'; readonly offset: number | null }
  | ({ readonly type: 'rejected' } & Rejection)
  /** Given up unwritten, or of unknown outcome; only where the producer has a `giveUpAfterMs`. */
  | { readonly type: 'lost' };

/** Messages of one partition that are written together or not at all. */
export interface Group {
  readonly partition: number;
  readonly messages: readonly ProducedMessage[];
  readonly bytes: number;
  readonly since: number;
  settle(outcome: SendOutcome): void;
  fail(error: Error): void;
}

export interface SendBounds {
  /** Bytes of one partition's record batch, past which a further group waits for the next send. */
  readonly bytesPerPartition: number;
  /**
   * Bytes of a whole send; a broker closes the connection on a request above
   * `socket.request.max.bytes`, 100 MiB.
   */
  readonly bytesPerSend: number;
  /** kafkajs copies a partition's messages once per message. */
  readonly messagesPerPartition: number;
}

/** What waits to be sent: per partition first in, first out. */
export class SendQueue {
  bytes = 0;
  groups = 0;
  private readonly byPartition = new Map<number, Group[]>();

  constructor(private readonly bounds: SendBounds) {}

  push(group: Group): void {
    const queue = this.byPartition.get(group.partition);
    if (queue === undefined) this.byPartition.set(group.partition, [group]);
    else queue.push(group);
    this.bytes += group.bytes;
    this.groups += 1;
  }

  /**
   * Takes the next send's groups, at least one if any waits; the partition that comes first changes
   * from send to send.
   */
  take(): Group[] {
    const taken: Group[] = [];
    let bytes = 0;
    for (const [partition, queue] of [...this.byPartition]) {
      const count = this.fitting(
        queue,
        taken.length === 0 ? Infinity : this.bounds.bytesPerSend - bytes,
      );
      if (count === 0) continue;
      const groups = queue.splice(0, count);
      // Where something is left the partition goes behind the others, so that a busy one does not
      // starve them.
      this.byPartition.delete(partition);
      if (queue.length > 0) this.byPartition.set(partition, queue);
      for (const group of groups) bytes += group.bytes;
      taken.push(...groups);
    }
    this.groups -= taken.length;
    this.bytes -= bytes;
    return taken;
  }

  /** Takes everything, or everything of one partition, in order. */
  drain(partition?: number): Group[] {
    const partitions = partition === undefined ? [...this.byPartition.keys()] : [partition];
    const all = partitions.flatMap((each) => this.byPartition.get(each) ?? []);
    for (const each of partitions) this.byPartition.delete(each);
    this.groups -= all.length;
    for (const group of all) this.bytes -= group.bytes;
    return all;
  }

  /** How many groups from the queue's head fit into one record batch, and into `room` bytes. */
  private fitting(queue: readonly Group[], room: number): number {
    let bytes = 0;
    let messages = 0;
    let count = 0;
    for (const group of queue) {
      bytes += group.bytes;
      messages += group.messages.length;
      const full =
        bytes > this.bounds.bytesPerPartition || messages > this.bounds.messagesPerPartition;
      if (bytes > room || (count > 0 && full)) break;
      count += 1;
    }
    return count;
  }
}
