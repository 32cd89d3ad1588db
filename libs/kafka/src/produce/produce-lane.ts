import type { KafkaOptions } from '../connection/options.js';
import { DEFAULT_REQUEST_TIMEOUT_MS } from '../connection/options.js';
import { ProduceSession } from './produce-session.js';
import { rejectionOf } from './rejection.js';
import type { Rejection } from './rejection.js';
import { SendQueue } from './send-queue.js';
import type { Group, SendBounds } from './send-queue.js';

export interface LaneOptions {
  readonly topic: string;
  /**
   * Idempotent and acknowledged by every in-sync replica; else acknowledged by the leader alone.
   */
  readonly durable: boolean;
  /**
   * How long, in ms, a group may wait for its outcome before it is `lost`; without it a producer
   * never gives up.
   */
  readonly giveUpAfterMs?: number;
  readonly bounds: SendBounds;
  /** Ends all lanes: what has no outcome then fails. */
  readonly stop: AbortSignal;
}

/** What became of one send; groups that are in neither list failed. */
export interface Delivery {
  /** Without an outcome: rejected, or unknown whether written. */
  readonly failed: readonly Group[];
  readonly error: unknown;
  /** Why the broker will never take them all together; null where another try may succeed. */
  readonly rejection: Rejection | null;
}

/** The producer was closed before the outcome was known. */
export class ProducerClosed extends Error {
  override readonly name = 'ProducerClosed';
}

/**
 * A queue of groups and the one kafkajs producer that sends them, one send at a time; all that
 * waits meanwhile goes with the next. After any failure the kafkajs producer is thrown away.
 */
export abstract class ProduceLane {
  protected readonly queue: SendQueue;
  /** Since when groups have been on their way without any outcome, in ms since 1970. */
  protected tryingSince: number | null = null;
  protected lastError: unknown = null;
  private inHand: readonly Group[] = [];
  private session: ProduceSession | null = null;
  private pumping: Promise<void> | null = null;

  constructor(
    protected readonly kafka: KafkaOptions,
    protected readonly options: LaneOptions,
    /** How long, in ms, a connection or a send may take. */
    private readonly patienceMs: number,
  ) {
    this.queue = new SendQueue(options.bounds);
  }

  push(...groups: readonly Group[]): void {
    for (const group of groups) this.queue.push(group);
    this.pumping ??= this.pump();
  }

  /** Since when, in ms since 1970, it has tried in vain, and the last reason; null while idle. */
  get trying(): { readonly since: number; readonly error: unknown } | null {
    return this.tryingSince === null ? null : { since: this.tryingSince, error: this.lastError };
  }

  /** Resolves when nothing waits and nothing is on its way. */
  async idle(): Promise<void> {
    await this.pumping;
  }

  /** After `stop`: fails what waits; a send in hand ends at once, its outcome unknown. */
  halt(): void {
    for (const group of this.queue.drain())
      group.fail(new ProducerClosed('closed before it was sent'));
    if (this.inHand.length > 0) this.session?.abandon();
  }

  async close(): Promise<void> {
    await this.session?.close();
    this.session = null;
  }

  /** Gives each group its outcome, or hands it to another lane. */
  protected abstract deliver(groups: readonly Group[]): Promise<void>;
  /** Called when nothing waits and nothing is on its way. */
  protected abstract whenIdle(): void;

  /** Sends the groups once, and settles those that are written. */
  protected async attempt(groups: readonly Group[]): Promise<Delivery> {
    try {
      this.session ??= this.open();
      const messages = groups.flatMap(({ partition, messages }) =>
        messages.map((message) => ({ ...message, partition })),
      );
      const offsets = await this.session.send(messages);
      const failed = groups.filter(({ partition }) => !offsets.has(partition));
      settleWritten(groups, offsets);
      if (failed.length === 0) return { failed, error: null, rejection: null };
      this.discardSession();
      return { failed, error: new Error(notSent(this.options.topic, failed)), rejection: null };
    } catch (error) {
      this.discardSession();
      return { failed: groups, error, rejection: rejectionOf(error) };
    }
  }

  /** Settles as lost what has waited too long; gives the others. */
  protected unexpired(groups: readonly Group[]): readonly Group[] {
    const { giveUpAfterMs = Infinity } = this.options;
    const expired = Date.now() - giveUpAfterMs;
    for (const group of groups) if (group.since <= expired) group.settle({ type: 'lost' });
    return groups.filter((group) => group.since > expired);
  }

  protected discardSession(): void {
    this.session?.abandon();
    this.session = null;
  }

  private async pump(): Promise<void> {
    // What is sent in this turn of the event loop by the same caller goes along.
    await Promise.resolve();
    while (this.queue.groups > 0) {
      const groups = this.queue.take();
      this.inHand = groups;
      this.tryingSince ??= Date.now();
      await this.deliver(groups);
      this.inHand = [];
      this.tryingSince = null;
      // The callers that this answer has woken go along with the next send. One that is alone is
      // sent at once.
      if (groups.length > 1) await new Promise(setImmediate);
    }
    // No `await` may stand between the check above and these lines, because a `push` in between
    // would not start a new pump.
    this.pumping = null;
    this.whenIdle();
  }

  private open(): ProduceSession {
    const { topic, durable } = this.options;
    return new ProduceSession(this.kafka, { topic, durable, stallMs: this.patienceMs });
  }
}

/** How long, in ms, a send of a lane may take that has nothing else to do. */
export function patienceOf(kafka: KafkaOptions, { giveUpAfterMs }: LaneOptions): number {
  return giveUpAfterMs ?? 3 * (kafka.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS);
}

/** A partition's groups are one record batch: each group's place follows from the batch's. */
function settleWritten(
  groups: readonly Group[],
  offsets: ReadonlyMap<number, number | null>,
): void {
  const next = new Map(offsets);
  for (const group of groups) {
    const base = next.get(group.partition);
    if (base === undefined) continue;
    const end = base === null ? null : base + group.messages.length;
    next.set(group.partition, end);
    group.settle({ type: 'written', offset: end === null ? null : end - 1 });
  }
}

function notSent(topic: string, groups: readonly Group[]): string {
  const partitions = [...new Set(groups.map(({ partition }) => partition))].join(', ');
  return `nothing was written to ${topic}'s partition ${partitions}, which may have no leader`;
}
