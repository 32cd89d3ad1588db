import type { ProcessAddress } from '#libs/protocol';
import type { Database } from '#libs/sql';
import { raw } from '#libs/sql';
import { rows } from './statement.js';

/** After this long without a heartbeat a process counts as dead, in ms. */
export const LEASE_MS = 4_000;
export const HEARTBEAT_MS = 1_000;
/** After this long its slot is free again, in ms. */
const SLOT_FREE_MS = 60_000;
/** Answers that a runner gave this long before its last heartbeat, or later, may not have arrived, in ms. */
const UNDELIVERED_MS = 2_000;

export type Heartbeat =
  | {
      readonly type: 'alive';
      /** The claims still held by this process, as `session_id epoch`. */
      readonly held: ReadonlySet<string>;
    }
  /** The slot belongs to somebody else: this process must end. */
  | { readonly type: 'refused' };

/** A process that has died, and the turns whose answers may not have arrived. */
export interface Undelivered {
  readonly process: ProcessAddress;
  readonly turns: readonly { readonly sessionId: string; readonly turnId: string }[];
}

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

  async heartbeat({ slot, incarnation }: ProcessAddress): Promise<Heartbeat> {
    return this.database.write(async (transaction) => {
      const [mine] = await rows(transaction)`
        UPDATE processes SET heartbeat_at = ${raw(this.database.nowMs)}, reaped = 0
        WHERE slot = ${slot} AND incarnation = ${incarnation} RETURNING slot`;
      if (mine === undefined) return { type: 'refused' };
      const claims = await rows(transaction)<{ session_id: string; epoch: number }>`
        SELECT session_id, epoch FROM claims WHERE runner_incarnation = ${incarnation} AND turn_id IS NOT NULL`;
      return { type: 'alive', held: new Set(claims.map((claim) => `${claim.session_id} ${claim.epoch}`)) };
    });
  }

  /** Turns of processes that died within `UNDELIVERED_MS` of having answered them, or later. */
  async undelivered(me: ProcessAddress, othersDead: boolean): Promise<readonly Undelivered[]> {
    const silent = othersDead
      ? `p.incarnation <> '${me.incarnation}'`
      : `p.heartbeat_at < ${this.database.nowMs} - ${2 * LEASE_MS}`;
    return this.database.read(async (reader) => {
      const found = await rows(reader)<{
        slot: number;
        incarnation: string;
        sessionId: string | null;
        turnId: string | null;
      }>`
        SELECT p.slot AS slot, p.incarnation AS incarnation, t.session_id AS "sessionId", t.turn_id AS "turnId"
        FROM processes p LEFT JOIN turns t ON t.runner_incarnation = p.incarnation AND t.seq IS NULL
          AND t.ended_ms >= p.heartbeat_at - ${raw(String(UNDELIVERED_MS))}
        WHERE p.reaped = 0 AND ${raw(silent)}`;
      const dead = new Map<string, { process: ProcessAddress; turns: { sessionId: string; turnId: string }[] }>();
      for (const { slot, incarnation, sessionId, turnId } of found) {
        const entry = dead.get(incarnation) ?? { process: { slot, incarnation }, turns: [] };
        dead.set(incarnation, entry);
        if (sessionId !== null && turnId !== null) entry.turns.push({ sessionId, turnId });
      }
      return [...dead.values()];
    });
  }

  /** Notes that a dead process' undelivered answers were made owed. */
  async reaped({ slot, incarnation }: ProcessAddress): Promise<void> {
    await this.database.write(
      (transaction) =>
        rows(transaction)`UPDATE processes SET reaped = 1 WHERE slot = ${slot} AND incarnation = ${incarnation}`,
    );
  }

  /** Sessions whose surface is held by a process that is silent, or by an earlier life of one: the gateway is lost. */
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
