import type { ProcessAddress } from '#libs/protocol';
import type { Database } from '#libs/sql';
import { raw } from '#libs/sql';
import { rows } from '../statement.js';

/** After this long without a heartbeat a process counts as dead, in ms. */
export const LEASE_MS = 4_000;
export const HEARTBEAT_MS = 1_000;
/** After this long its slot is free again, in ms. */
const SLOT_FREE_MS = 60_000;
/**
 * Answers that a runner gave this long before its last heartbeat, or later, may not have arrived,
 * in ms.
 */
const UNDELIVERED_MS = 2_000;

export type HeartbeatAnswer =
  | {
      readonly type: 'alive';
      /** The claims still held by this process, as `session_id epoch`. */
      readonly held: ReadonlySet<string>;
    }
  /** The slot belongs to somebody else: this process must end. */
  | { readonly type: 'refused' };

/** SQL: whether the process of the two columns is silent; `onlyAlive` given, every other one is. */
export function isSilent(
  database: Database,
  slot: string,
  incarnation: string,
  onlyAlive: ProcessAddress | null,
): string {
  if (onlyAlive !== null) return `${incarnation} <> '${onlyAlive.incarnation}'`;
  return `NOT EXISTS (SELECT 1 FROM processes p WHERE p.slot = ${slot} AND p.incarnation = ${incarnation}
    AND p.heartbeat_at > ${database.nowMs} - ${LEASE_MS})`;
}

/** The table of processes that run turns or hold surfaces, on the database's clock [A6]. */
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
      const [freed] = await rows(transaction)<{ slot: number }>`
        UPDATE processes SET incarnation = ${incarnation}, heartbeat_at = ${now}, reaped = 0
        WHERE slot = (SELECT MIN(slot) FROM processes WHERE heartbeat_at < ${now} - ${raw(String(SLOT_FREE_MS))} AND reaped = 1)
          AND heartbeat_at < ${now} - ${raw(String(SLOT_FREE_MS))}
        RETURNING slot`;
      if (freed !== undefined) return freed.slot;
      const [made] = await rows(transaction)<{ slot: number }>`
        INSERT INTO processes (slot, incarnation, heartbeat_at, reaped)
        SELECT COALESCE(MAX(slot), -1) + 1, ${raw(`'${incarnation}'`)}, ${now}, 0 FROM processes WHERE 1 = 1
        ON CONFLICT (slot) DO NOTHING RETURNING slot`;
      return made?.slot ?? null;
    });
  }

  async heartbeat({ slot, incarnation }: ProcessAddress): Promise<HeartbeatAnswer> {
    return this.database.write(async (transaction) => {
      const [mine] = await rows(transaction)`
        UPDATE processes SET heartbeat_at = ${raw(this.database.nowMs)}, reaped = 0
        WHERE slot = ${slot} AND incarnation = ${incarnation} RETURNING slot`;
      if (mine === undefined) return { type: 'refused' };
      const claims = await rows(transaction)<{ session_id: string; epoch: number }>`
        SELECT session_id, epoch FROM claims WHERE runner_incarnation = ${incarnation} AND turn_id IS NOT NULL`;
      return {
        type: 'alive',
        held: new Set(claims.map((claim) => `${claim.session_id} ${claim.epoch}`)),
      };
    });
  }

  /**
   * Dead processes whose last answers were not looked at yet. `othersDead`: every other one is
   * dead.
   */
  async unreaped(me: ProcessAddress, othersDead: boolean): Promise<readonly ProcessAddress[]> {
    const dead = othersDead
      ? `incarnation <> '${me.incarnation}'`
      : `heartbeat_at < ${this.database.nowMs} - ${2 * LEASE_MS}`;
    return this.database.read(
      (reader) => rows(reader)<ProcessAddress>`
        SELECT slot, incarnation FROM processes WHERE reaped = 0 AND ${raw(dead)}`,
    );
  }

  /**
   * Turns that a dead process ended within `UNDELIVERED_MS` of its last heartbeat, or later, and
   * that nobody is owed.
   */
  async undelivered(
    dead: ProcessAddress,
  ): Promise<readonly { readonly sessionId: string; readonly turnId: string }[]> {
    return this.database.read(
      (reader) => rows(reader)<{ sessionId: string; turnId: string }>`
        SELECT t.session_id AS "sessionId", t.turn_id AS "turnId" FROM processes p
        JOIN turns t ON t.runner_incarnation = p.incarnation AND t.ended_ms >= p.heartbeat_at - ${raw(String(UNDELIVERED_MS))}
        WHERE p.slot = ${dead.slot} AND p.incarnation = ${dead.incarnation} AND t.seq IS NULL`,
    );
  }

  /** Notes that a dead process' undelivered answers were made owed. */
  async reaped({ slot, incarnation }: ProcessAddress): Promise<void> {
    await this.database.writeOne(
      (writer) =>
        rows(
          writer,
        )`UPDATE processes SET reaped = 1 WHERE slot = ${slot} AND incarnation = ${incarnation}`,
    );
  }

  /**
   * Sessions whose surface is held by a process that is silent, or by an earlier life of one: the
   * gateway is lost.
   */
  async lostSurfaces(
    me: ProcessAddress | null,
    limit: number,
  ): Promise<readonly { readonly sessionId: string; readonly attachId: string }[]> {
    return this.database.read(
      (reader) => rows(reader)<{ sessionId: string; attachId: string }>`
        SELECT s.session_id AS "sessionId", s.attach_id AS "attachId" FROM sessions s
        WHERE s.attach_id IS NOT NULL AND ${raw(isSilent(this.database, 's.gateway_slot', 's.gateway_incarnation', me))}
        LIMIT ${raw(String(limit))}`,
    );
  }
}
