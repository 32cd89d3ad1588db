import { backOff } from '#libs/timing';
import type { KafkaOptions } from '../connection/options.js';
import { ProduceLane, ProducerClosed, patienceOf } from './produce-lane.js';
import type { LaneOptions } from './produce-lane.js';
import type { Group } from './send-queue.js';
import type { Detour } from './shared-lane.js';

/**
 * The lane of one partition whose send failed: sends the same groups again, before anything newer,
 * until each has an outcome. It ends when nothing of its partition waits any more.
 */
export class PartitionLane extends ProduceLane {
  private failures = 0;

  constructor(
    kafka: KafkaOptions,
    options: LaneOptions,
    private readonly detour: Omit<Detour, 'groups'>,
    private readonly onEnd: () => void,
  ) {
    super(kafka, options, patienceOf(kafka, options));
    this.tryingSince = detour.since;
    this.noteFailure(detour.error);
  }

  protected async deliver(groups: readonly Group[]): Promise<void> {
    for (let waiting = groups; waiting.length > 0;) {
      if (this.isStopped()) {
        for (const group of waiting)
          group.fail(new ProducerClosed('closed before the outcome was known'));
        return;
      }
      const { failed, error, rejection } = await this.attempt(waiting);
      if (failed.length === 0) {
        this.failures = 0;
        return;
      }
      if (rejection !== null) {
        // Alone, each of them shows whether it is the guilty one.
        if (failed.length > 1) for (const group of failed) await this.deliver([group]);
        else for (const group of failed) group.settle({ type: 'rejected', ...rejection });
        return;
      }
      waiting = this.unexpired(failed);
      if (!this.isStopped()) this.noteFailure(error);
      await backOff(this.failures, this.options.stop);
    }
  }

  protected whenIdle(): void {
    this.discardSession();
    this.onEnd();
  }

  private isStopped(): boolean {
    return this.options.stop.aborted;
  }

  private noteFailure(error: unknown): void {
    this.failures += 1;
    this.lastError = error;
    const { partition } = this.detour;
    this.kafka.onProblem(
      `writing to partition ${partition} of ${this.options.topic} failed ${this.failures} times in a row`,
      error,
    );
  }
}
