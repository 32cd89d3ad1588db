/*
 * The partitions that the group has given to this process, and where each of them goes on.
 *
 * An assignment's phases:
 *   asking    (`expected` is null): the partition is paused; the stored position is being asked.
 *   reading   (`expected` is an offset): fetches are handed over in batches, one at a time.
 *   revoked   (`revoked` is aborted): another assignment, or another process, has the partition.
 * From reading back to asking: a batch that was `stale` or threw, and a gap between batches.
 *
 * Who owns what:
 * - The reader owns the position. Nothing is committed to Kafka.
 * - AssignedPartitions decides what is handed over. kafkajs only fetches.
 * - GroupMembership owns the kafkajs consumer, and tells of assignments and fetches.
 * - GroupConsumer opens another membership when one has ended.
 *
 * Invariants:
 * 1. A batch begins exactly at `expected`. kafkajs's `seek` is asynchronous, so a fetch from before
 *    it may still come: it is dropped. A gap is an alarm and never passed over.
 * 2. kafkajs's position moves on only after the reader's has, durably, because a crash may repeat
 *    events and must never skip any.
 * 3. One batch of a partition is in hand at a time, also across assignments: a new one asks for the
 *    position when the old one's handler has ended.
 */
import type { KafkaMessage } from 'kafkajs';
import type { GroupConsumerOptions } from './group-reader.js';
import { backOff } from '#libs/timing';

/** What a partition's reader needs of the kafkajs consumer that holds it. */
export interface FetchControl {
  pause(partition: number): void;
  /** The next fetch begins at `offset`. */
  resumeAt(partition: number, offset: number): void;
}

/** One fetch of a partition, as kafkajs hands it over. */
export interface FetchedBatch {
  readonly partition: number;
  readonly messages: readonly KafkaMessage[];
  readonly end: number;
  /** Whether the partition is still this consumer's, and nothing has moved its position. */
  current(): boolean;
  /** The next fetch begins behind `offset`. */
  resolve(offset: number): void;
  /** Throws when the group rebalances, which ends the fetch. */
  heartbeat(): Promise<void>;
}

/** One assignment of one partition. */
interface Assignment {
  readonly partition: number;
  readonly control: FetchControl;
  readonly revoked: AbortController;
  /** Where its next batch has to begin; null while the stored position is being asked. */
  expected: number | null;
  failures: number;
}

const HEARTBEAT_MS = 1000;

const isRevoked = (assignment: Assignment): boolean => assignment.revoked.signal.aborted;

/** The partitions that this process reads, each from the reader's stored position on. */
export class AssignedPartitions {
  private readonly assignments = new Map<number, Assignment>();
  /** Handlers at work, also those of an assignment that has ended: the next one waits for them. */
  private readonly inHand = new Map<number, Promise<unknown>>();

  constructor(private readonly options: GroupConsumerOptions) {}

  get handling(): boolean {
    return this.inHand.size > 0;
  }

  /** Called while kafkajs joins, before it fetches anything. */
  assign(partitions: readonly number[], control: FetchControl): void {
    this.revokeAll();
    for (const partition of partitions) {
      const assignment: Assignment = {
        partition,
        control,
        revoked: new AbortController(),
        expected: null,
        failures: 0,
      };
      this.assignments.set(partition, assignment);
      void this.begin(assignment);
    }
  }

  revokeAll(): void {
    for (const assignment of this.assignments.values()) assignment.revoked.abort();
    this.assignments.clear();
  }

  /** Resolves when no handler is at work. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.inHand.values());
  }

  /** Hands a fetch over in batches; what is not handled will be fetched again. */
  async take(fetched: FetchedBatch): Promise<void> {
    const assignment = this.assignments.get(fetched.partition);
    if (assignment === undefined) return;
    const { batchSize } = this.options;
    for (let start = 0; start < fetched.messages.length; start += batchSize) {
      const from = assignment.expected;
      if (from === null || isRevoked(assignment) || !fetched.current()) return;
      const messages = fetched.messages.slice(start, start + batchSize);
      const next = this.consecutive(assignment, messages, from);
      if (next === null) return;
      const { partition } = fetched;
      const outcome = await this.handle(
        { partition, from, next, messages, live: next >= fetched.end },
        fetched,
      );
      if (outcome !== 'done') {
        if (!isRevoked(assignment)) void this.begin(assignment);
        return;
      }
      assignment.failures = 0;
      assignment.expected = next;
      // The position has moved on durably; only now may kafkajs.
      if (fetched.current() && !isRevoked(assignment)) fetched.resolve(next - 1);
      await fetched.heartbeat();
    }
  }

  /**
   * The position behind `messages` if they follow on `from` without a gap; else the assignment
   * begins anew.
   */
  private consecutive(
    assignment: Assignment,
    messages: readonly KafkaMessage[],
    from: number,
  ): number | null {
    let next = from;
    for (const { offset } of messages) {
      if (Number(offset) === next) {
        next += 1;
        continue;
      }
      const { topic, groupId } = this.options;
      const problem = `expected offset ${next} and got ${offset}: records are missing or were replaced; not passed over`;
      this.options.onProblem(
        `${groupId}: partition ${assignment.partition} of ${topic}: ${problem}`,
      );
      void this.begin(assignment);
      return null;
    }
    return next;
  }

  private async handle(
    batch: Parameters<GroupConsumerOptions['handle']>[0],
    fetched: FetchedBatch,
  ): Promise<'done' | 'stale' | 'failed'> {
    // A slow handler keeps its membership; that the group rebalances shows at the heartbeat after
    // it.
    const beat = setInterval(() => void fetched.heartbeat().catch(() => undefined), HEARTBEAT_MS);
    try {
      const work = this.options.handle(batch);
      this.inHand.set(batch.partition, work);
      return await work;
    } catch (error) {
      this.options.onProblem(
        `handling partition ${batch.partition} from offset ${batch.from} failed`,
        error,
      );
      return 'failed';
    } finally {
      clearInterval(beat);
      this.inHand.delete(batch.partition);
    }
  }

  /**
   * Reads the stored position, again and again if need be, and lets the partition be fetched from
   * there.
   */
  private async begin(assignment: Assignment): Promise<void> {
    const { partition, control, revoked } = assignment;
    assignment.expected = null;
    try {
      control.pause(partition);
    } catch {
      // The kafkajs consumer has ended; its successor will be assigned anew.
      return;
    }
    for (;;) {
      try {
        if (assignment.failures > 0) await backOff(assignment.failures, revoked.signal);
        await this.inHand.get(partition)?.catch(() => undefined);
        assignment.failures += 1;
        const position = await this.options.position(partition);
        if (isRevoked(assignment)) return;
        control.resumeAt(partition, position);
        assignment.expected = position;
        return;
      } catch (error) {
        if (isRevoked(assignment)) return;
        this.options.onProblem(`the position of partition ${partition} cannot be had`, error);
      }
    }
  }
}
