import type { ProcessAddress } from '#libs/protocol';
import type { Database } from '#libs/sql';
import { raw } from '#libs/sql';
import { distinct } from '../distinct.js';
import { integer, rows } from '../statement.js';

/** After this long without a heartbeat a process counts as dead, in ms. */
export const LEASE_MS = 4_000;
export const HEARTBEAT_MS = 1_000;
/** After this long the slot of a dead process is free again, in ms. */
const SLOT_FREE_MS = 60_000;

/** What the table shows of one process. */
export interface ProcessSign {
  readonly slot: number;
  readonly incarnation: string;
  readonly beat: number;
  readonly hasLeft: boolean;
  readonly reaped: boolean;
}

/** A claim that a process holds. */
export interface HeldClaim {
  readonly sessionId: string;
  readonly turnId: string;
  readonly epoch: number;
}

export type HeartbeatAnswer =
  | { readonly type: 'alive'; readonly held: readonly HeldClaim[] }
  /** The slot belongs to somebody else: this process must end. */
  | { readonly type: 'refused' };

/** The table of processes that run turns or hold surfaces [A6]. */
export class Processes {
  constructor(private readonly database: Database) {}

  /** Leases the lowest free slot for this life of the process. */
  async lease(incarnation: string): Promise<ProcessAddress> {
    for (;;) {
      const slot = await this.tryLease(incarnation);
      if (slot !== null) return { slot, incarnation };
    }
  }

  private async tryLease(incarnation: string): Promise<number | null> {
    return this.database.write(async (transaction) => {
      const now = raw(this.database.nowMs);
      const free = raw(`heartbeat_at < ${this.database.nowMs} - ${SLOT_FREE_MS} AND reaped = 1`);
      const [freed] = await rows(transaction)<{ slot: number }>`
        UPDATE processes SET incarnation = ${incarnation}, beat = 0, heartbeat_at = ${now},
          has_left = 0, reaped = 0
        WHERE slot = (SELECT MIN(slot) FROM processes WHERE ${free}) AND ${free}
        RETURNING slot`;
      if (freed !== undefined) return freed.slot;
      const [made] = await rows(transaction)<{ slot: number }>`
        INSERT INTO processes (slot, incarnation, beat, heartbeat_at, has_left, reaped)
        SELECT COALESCE(MAX(slot), -1) + 1, CAST(${incarnation} AS varchar(36)), 0, ${now}, 0, 0
        FROM processes WHERE 1 = 1
        ON CONFLICT (slot) DO NOTHING RETURNING slot`;
      return made?.slot ?? null;
    });
  }

  async heartbeat({ slot, incarnation }: ProcessAddress): Promise<HeartbeatAnswer> {
    const [mine] = await this.database.writeOne(
      (writer) => rows(writer)`
        UPDATE processes SET beat = beat + 1, heartbeat_at = ${raw(this.database.nowMs)}, reaped = 0
        WHERE slot = ${slot} AND incarnation = ${incarnation} RETURNING slot`,
    );
    if (mine === undefined) return { type: 'refused' };
    const held = await this.database.read(
      (reader) => rows(reader)<HeldClaim>`
        SELECT session_id AS "sessionId", turn_id AS "turnId", epoch FROM claims
        WHERE runner_incarnation = ${incarnation} AND turn_id IS NOT NULL`,
    );
    return { type: 'alive', held };
  }

  /** The process has handed over what it had: others take it over at once. */
  async leave({ slot, incarnation }: ProcessAddress): Promise<void> {
    await this.database.writeOne(
      (writer) => rows(writer)`
        UPDATE processes SET has_left = 1 WHERE slot = ${slot} AND incarnation = ${incarnation}`,
    );
  }

  async signs(): Promise<readonly ProcessSign[]> {
    const found = await this.database.read(
      (reader) =>
        rows(reader)<
          Omit<ProcessSign, 'hasLeft' | 'reaped'> & { hasLeft: number; reaped: number }
        >`SELECT slot, incarnation, beat, has_left AS "hasLeft", reaped FROM processes`,
    );
    return found.map((row) => ({ ...row, hasLeft: row.hasLeft === 1, reaped: row.reaped === 1 }));
  }

  /** Notes that what a dead process left behind was seen to. */
  async reaped({ slot, incarnation }: Pick<ProcessSign, 'slot' | 'incarnation'>): Promise<void> {
    await this.database.writeOne(
      (writer) => rows(writer)`
        UPDATE processes SET reaped = 1 WHERE slot = ${slot} AND incarnation = ${incarnation}`,
    );
  }

  /** The processes that hold surfaces: one look-up in an index for each [A11]. */
  gateways(): Promise<readonly string[]> {
    return distinct(this.database, {
      table: 'sessions',
      column: 'gateway_incarnation',
      where: 'attach_id IS NOT NULL',
    });
  }

  /** Sessions whose surface these processes hold. */
  async surfacesOf(
    incarnations: readonly string[],
    limit: number,
  ): Promise<readonly { readonly sessionId: string; readonly attachId: string }[]> {
    if (incarnations.length === 0) return [];
    return this.database.read(
      (reader) => rows(reader)<{ sessionId: string; attachId: string }>`
        SELECT session_id AS "sessionId", attach_id AS "attachId" FROM sessions
        WHERE attach_id IS NOT NULL AND gateway_incarnation IN (${[...incarnations]})
        LIMIT ${raw(integer(limit))}`,
    );
  }
}
