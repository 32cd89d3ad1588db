import { createTopic, PartitionTail } from '#libs/kafka';
import type { KafkaOptions, TopicSpec } from '#libs/kafka';
import type { ProcessAddress } from '#libs/protocol';
import { backOff } from '#libs/timing';
import { MailboxMessage } from '../messages.js';
import { MAX_WAITING, Mailbox } from '../ports/mailbox.js';
import type { Inbox } from '../ports/mailbox.js';
import { KafkaMailboxLane } from './kafka-mailbox-lane.js';

export interface KafkaMailboxOptions {
  readonly kafka: KafkaOptions;
  /** Begins the topics' names; `sbp` by default. */
  readonly prefix?: string;
  readonly replication: number;
}

/** Nobody reads an old message: long enough for a reader that is slow, and no longer. */
const RETENTION_MS = 10 * 60 * 1000;
const OPEN_TRIES = 10;

/**
 * A message as it stands in a topic: the key names the incarnation, so that others drop it without
 * parsing it.
 */
interface Received {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
}

/** Mailboxes on Kafka: a topic of one partition for each slot, made once and never deleted. */
export class KafkaMailbox extends Mailbox {
  /** One for each slot that was ever written to; slots are few, and used again. */
  private readonly lanes = new Map<number, KafkaMailboxLane>();
  private readonly tails = new Set<PartitionTail>();
  /** Who receives here, by incarnation: what is sent to them does not leave the process. */
  private readonly own = new Map<string, (message: MailboxMessage) => void>();
  private waiting = 0;

  constructor(private readonly options: KafkaMailboxOptions) {
    super();
  }

  async send(to: ProcessAddress, message: MailboxMessage): Promise<void> {
    const own = this.own.get(to.incarnation);
    if (own !== undefined) {
      setImmediate(() => own(message));
      return;
    }
    if (this.waiting >= MAX_WAITING) return;
    this.waiting += 1;
    try {
      await this.laneTo(to.slot).send({
        key: to.incarnation,
        value: Buffer.from(JSON.stringify(message)),
      });
    } finally {
      this.waiting -= 1;
    }
  }

  async receive(
    address: ProcessAddress,
    handler: (message: MailboxMessage) => void,
  ): Promise<Inbox> {
    const { kafka } = this.options;
    const topic = this.topicOf(address.slot);
    await createTopic(kafka, this.specOf(topic));
    const tail = await openTail(kafka, topic, (received) => {
      for (const each of received) this.hand(each, address, handler);
    });
    this.tails.add(tail);
    this.own.set(address.incarnation, handler);
    return {
      close: async () => {
        this.own.delete(address.incarnation);
        this.tails.delete(tail);
        await tail.close();
      },
    };
  }

  async close(): Promise<void> {
    await Promise.all([...this.tails].map((tail) => tail.close()));
    await Promise.all([...this.lanes.values()].map((lane) => lane.close()));
  }

  private hand(
    { key, value }: Received,
    { incarnation }: ProcessAddress,
    handler: (message: MailboxMessage) => void,
  ): void {
    if (key?.toString() !== incarnation || value === null) return;
    try {
      handler(MailboxMessage.parse(JSON.parse(value.toString())));
    } catch (error) {
      this.options.kafka.onProblem('a mailbox message is malformed, or its handler threw', error);
    }
  }

  private laneTo(slot: number): KafkaMailboxLane {
    const known = this.lanes.get(slot);
    if (known !== undefined) return known;
    const lane = new KafkaMailboxLane(this.options.kafka, this.topicOf(slot));
    this.lanes.set(slot, lane);
    return lane;
  }

  private topicOf(slot: number): string {
    return `${this.options.prefix ?? 'sbp'}.mailbox.${slot}`;
  }

  private specOf(topic: string): TopicSpec {
    const config = {
      'cleanup.policy': 'delete',
      'retention.ms': String(RETENTION_MS),
      'segment.ms': String(RETENTION_MS),
      'segment.bytes': String(64 * 1024 * 1024),
      'max.message.bytes': String(10 * 1024 * 1024),
    };
    return { topic, partitions: 1, replication: this.options.replication, config };
  }
}

/** A topic just made is not known to every broker at once. */
async function openTail(
  kafka: KafkaOptions,
  topic: string,
  onMessages: (messages: readonly Received[]) => void,
): Promise<PartitionTail> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await PartitionTail.open(kafka, topic, 0, onMessages);
    } catch (error) {
      if (tries === OPEN_TRIES) throw error;
      await backOff(tries);
    }
  }
}
