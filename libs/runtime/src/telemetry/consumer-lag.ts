import type { ConsumerPositions, EventLog } from '#libs/event-log';
import type { Standing } from '#libs/telemetry';
import { deadline } from '#libs/timing';

/** How long a scrape waits for the log and the database, in ms; then it goes without them. */
const LOOK_MS = 1_000;

/**
 * Where consumers of the log stand in every partition, also where another process reads it for
 * them: so a partition that nobody reads is seen. Asked by scrapes alone.
 */
export class ConsumerLag {
  constructor(
    private readonly log: EventLog,
    private readonly positions: ConsumerPositions,
  ) {}

  of(consumers: readonly string[]): Promise<readonly Standing[]> {
    return deadline('the lag of the consumers', this.look(consumers), LOOK_MS);
  }

  private async look(consumers: readonly string[]): Promise<readonly Standing[]> {
    // Before the ends: what is read meanwhile must not look like a position beyond the log.
    const positions = await Promise.all(
      consumers.map(async (consumer) => {
        return { consumer, next: await this.positions.loadAll(consumer) };
      }),
    );
    const ends = await Promise.all(
      Array.from({ length: this.log.partitions }, (_, partition) => this.log.end(partition)),
    );
    return positions.flatMap(({ consumer, next }) =>
      ends.map((end, partition) => {
        return { consumer, partition, end, position: next.get(partition) ?? 0 };
      }),
    );
  }
}
