import type { KafkaOptions } from '../connection/options.js';
import { ProduceLane, patienceOf } from './produce-lane.js';
import type { LaneOptions } from './produce-lane.js';
import type { Group } from './send-queue.js';

/**
 * How long, in ms, a send may keep the partitions waiting that have nothing to do with its delay.
 * Shorter than an outage, so that a partition that works is not taken for one that does not; long
 * enough for kafkajs to ask again after an answer that was lost, which repeats nothing in the log.
 */
const SHARED_PATIENCE_MS = 2500;

/** Groups of one partition that go on in a lane of their own, in their order. */
export interface Detour {
  readonly partition: number;
  readonly groups: readonly Group[];
  readonly since: number;
  readonly error: unknown;
}

/**
 * The lane of all partitions that work. It sends each group once: where that fails, for whatever
 * reason, the partition leaves with everything that waits for it.
 */
export class SharedLane extends ProduceLane {
  constructor(
    kafka: KafkaOptions,
    options: LaneOptions,
    private readonly onDetour: (detour: Detour) => void,
  ) {
    super(kafka, options, Math.min(patienceOf(kafka, options), SHARED_PATIENCE_MS));
  }

  protected async deliver(groups: readonly Group[]): Promise<void> {
    const { failed, error } = await this.attempt(groups);
    if (failed.length === 0) return;
    const since = this.tryingSince ?? Date.now();
    const kept = this.unexpired(failed);
    for (const partition of new Set(kept.map((group) => group.partition))) {
      const first = kept.filter((group) => group.partition === partition);
      const behind = this.queue.drain(partition);
      this.onDetour({ partition, groups: [...first, ...behind], since, error });
    }
  }

  protected whenIdle(): void {
    // It stays, with its connection, for the next send.
  }
}
