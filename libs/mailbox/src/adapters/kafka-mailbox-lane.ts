import { OrderedProducer, topicExists } from '#libs/kafka';
import type { KafkaOptions, ProducedMessage } from '#libs/kafka';
import { deadline } from '#libs/timing';
import { MAX_WAITING } from '../ports/mailbox.js';

/**
 * Past this age, in ms, the sweep of the other side has repaired the loss, and a late message would
 * only be in the way.
 */
const GIVE_UP_MS = 2000;
const ASK_AGAIN_MS = 1000;
const PENDING_BYTES = 64 * 1024 * 1024;
const CLOSE_MS = 200;

/**
 * The way to one slot: a producer of its own, so that a slot whose broker is away holds up no
 * other.
 */
export class KafkaMailboxLane {
  private readonly producer: OrderedProducer;
  /**
   * Whether the slot's topic is there; a topic is never deleted, but a name may come before its
   * topic.
   */
  private usable: Promise<boolean> | null = null;

  constructor(
    private readonly kafka: KafkaOptions,
    private readonly topic: string,
  ) {
    this.producer = new OrderedProducer(kafka, {
      topic,
      durable: false,
      maxPendingBytes: PENDING_BYTES,
      maxPendingGroups: MAX_WAITING,
      giveUpAfterMs: GIVE_UP_MS,
    });
  }

  /** Resolves when the message was written or given up. */
  async send(message: ProducedMessage): Promise<void> {
    this.usable ??= this.ask();
    if (!(await this.usable)) return;
    // Of a producer that was closed, nobody waits for an answer.
    await this.producer.send(0, [message])?.catch(() => undefined);
  }

  async close(): Promise<void> {
    await this.producer.close(CLOSE_MS);
  }

  private async ask(): Promise<boolean> {
    const there = await deadline(
      `asking for ${this.topic}`,
      topicExists(this.kafka, this.topic),
      GIVE_UP_MS,
    ).catch((error: unknown) => {
      this.kafka.onProblem(`the mailbox ${this.topic} cannot be reached`, error);
      return false;
    });
    if (!there) setTimeout(() => (this.usable = null), ASK_AGAIN_MS).unref();
    return there;
  }
}
