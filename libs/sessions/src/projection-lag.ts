import { ConsumerPositions, EventLog } from '#libs/event-log';
import { Database } from '#libs/sql';
import { PROJECTOR, QueueHeads } from '#libs/store';
import type { Projected } from '#libs/telemetry';
import { deadline } from '#libs/timing';
import { Injectable } from '@nestjs/common';

/** How long a scrape waits for the log and the database, in ms; then it goes without them. */
const LOOK_MS = 1_000;
/** Sessions that are counted; whoever sees as many knows enough. */
const MOST_WAITING = 1_000;

/** How far the fold is, as scrapes ask it: nobody else does, so it costs nothing between them. */
@Injectable()
export class ProjectionLag {
  private readonly positions: ConsumerPositions;

  constructor(
    private readonly log: EventLog,
    private readonly heads: QueueHeads,
    database: Database,
  ) {
    this.positions = new ConsumerPositions(database);
  }

  /** Of every partition, also where another process folds it. */
  projected(): Promise<readonly Projected[]> {
    return deadline('the lag of the fold', this.look(), LOOK_MS);
  }

  waiting(): Promise<number> {
    return deadline('the count of waiting sessions', this.heads.count(MOST_WAITING), LOOK_MS);
  }

  private async look(): Promise<readonly Projected[]> {
    // Before the ends: what is folded meanwhile must not look like a fold beyond the log.
    const positions = await this.positions.loadAll(PROJECTOR);
    const partitions = Array.from({ length: this.log.partitions }, (_, partition) => partition);
    return Promise.all(
      partitions.map(async (partition) => {
        const end = await this.log.end(partition);
        return { partition, end, position: positions.get(partition) ?? 0 };
      }),
    );
  }
}
