import type { Database, SqlPart } from '#libs/sql';
import { part, raw } from '#libs/sql';
import { integer, rows } from '../statement.js';

/** What a repeated request is known by; its scope is (principal, agent). */
export interface TurnKey {
  readonly principal: string;
  readonly agentId: string;
  readonly name: string;
}

/** The name of a key that the client chose, so that no other kind of key can be the same. */
export function idempotencyName(key: string): string {
  return `key:${key}`;
}

/** The name of a key that is the request itself, for clients that repeat it without a key. */
export function bodyName(bodyHash: string): string {
  return `body:${bodyHash}`;
}

/** A turn that has a key, or is to have it. */
export interface KeyedTurn {
  readonly turnId: string;
  /** SHA-256 of the request's body, in hex. */
  readonly bodyHash: string;
  /** The incarnation of the process that sees to it that the turn begins. */
  readonly holder: string;
}

/** Of who asked first. */
export type FirstCaller = 'there' | 'gone' | 'answered';

/** A key as it is held. */
export interface HeldKey extends KeyedTurn {
  /** Null until it is known in which session the turn is to begin. */
  readonly sessionId: string | null;
  readonly caller: FirstCaller;
}

/** How long a key is known, in ms. */
const KEPT_MS = 24 * 60 * 60 * 1000;
/** Rows that are removed at a time. */
const PRUNED = 500;

/**
 * Which turn a repeated request belongs to. A key is taken before its turn is in the log, and bound
 * to a session before that; whoever takes a key over from a dead holder first sees to it that the
 * holder's turn cannot begin any more.
 */
export class TurnKeys {
  constructor(private readonly database: Database) {}

  /** Null if the key is the turn's now; else who has it. */
  async take(key: TurnKey, turn: KeyedTurn): Promise<HeldKey | null> {
    const old = part`turn_keys.created_at < ${raw(this.database.nowMs)} - ${raw(integer(KEPT_MS))}`;
    for (;;) {
      if (await this.put(key, turn, part`WHERE ${old} OR turn_keys.turn_id = ${turn.turnId}`)) {
        return null;
      }
      const held = await this.find(key, KEPT_MS);
      if (held !== null) return held;
    }
  }

  /** The key is the turn's now, whoever had it; the turn is about to begin in the session. */
  async record(key: TurnKey, turn: KeyedTurn, sessionId: string): Promise<void> {
    await this.put(key, turn, part``, sessionId);
  }

  /** Null also where nothing was said of it for so long. */
  async find(key: TurnKey, withinMs: number): Promise<HeldKey | null> {
    const [row] = await this.database.read(
      (reader) => rows(reader)<HeldKey>`
        SELECT turn_id AS "turnId", session_id AS "sessionId", body_hash AS "bodyHash",
          holder_incarnation AS holder, caller
        FROM turn_keys WHERE ${isKey(key)}
          AND created_at >= ${raw(this.database.nowMs)} - ${raw(integer(withinMs))}`,
    );
    return row ?? null;
  }

  /** Takes the key over from a turn that cannot begin any more; false if it has changed since. */
  async retake(key: TurnKey, from: HeldKey, turn: KeyedTurn): Promise<boolean> {
    const same =
      from.sessionId === null
        ? part`turn_keys.session_id IS NULL`
        : part`turn_keys.session_id = ${from.sessionId}`;
    return this.put(key, turn, part`WHERE turn_keys.turn_id = ${from.turnId} AND ${same}`);
  }

  /** Says where the turn is to begin; false if the key was taken from it meanwhile. */
  async bind(key: TurnKey, turnId: string, sessionId: string): Promise<boolean> {
    return this.change(key, turnId, part`session_id = ${sessionId}`);
  }

  /** What became of whoever asked first; from now on its age counts. */
  async tell(key: TurnKey, turnId: string, caller: FirstCaller): Promise<void> {
    await this.change(
      key,
      turnId,
      part`caller = ${caller}, created_at = ${raw(this.database.nowMs)}`,
    );
  }

  /** The turn has not begun, and will not: the key is free. */
  async giveBack(key: TurnKey, turnId: string): Promise<void> {
    await this.database.writeOne(
      (writer) => rows(writer)`
        DELETE FROM turn_keys WHERE ${isKey(key)} AND turn_id = ${turnId}`,
    );
  }

  /** Removes some of those that are not known any more. */
  async prune(): Promise<void> {
    await this.database.writeOne(
      (writer) => rows(writer)`
        DELETE FROM turn_keys WHERE (principal, agent_id, name) IN (
          SELECT principal, agent_id, name FROM turn_keys
          WHERE created_at < ${raw(this.database.nowMs)} - ${raw(integer(KEPT_MS))}
          ORDER BY created_at LIMIT ${raw(integer(PRUNED))})`,
    );
  }

  /** `where`: of a row that is there already, whether it may be overwritten. */
  private async put(
    key: TurnKey,
    turn: KeyedTurn,
    where: SqlPart,
    sessionId: string | null = null,
  ): Promise<boolean> {
    const written = await this.database.writeOne(
      (writer) => rows(writer)`
        INSERT INTO turn_keys (principal, agent_id, name, turn_id, session_id, body_hash,
          holder_incarnation, caller, created_at)
        VALUES (${key.principal}, ${key.agentId}, ${key.name}, ${turn.turnId}, ${sessionId},
          ${turn.bodyHash}, ${turn.holder}, 'there', ${raw(this.database.nowMs)})
        ON CONFLICT (principal, agent_id, name) DO UPDATE SET turn_id = excluded.turn_id,
          session_id = excluded.session_id, body_hash = excluded.body_hash,
          holder_incarnation = excluded.holder_incarnation, caller = excluded.caller,
          created_at = excluded.created_at
        ${where} RETURNING turn_id`,
    );
    return written.length > 0;
  }

  private async change(key: TurnKey, turnId: string, set: SqlPart): Promise<boolean> {
    const changed = await this.database.writeOne(
      (writer) => rows(writer)`
        UPDATE turn_keys SET ${set} WHERE ${isKey(key)} AND turn_id = ${turnId} RETURNING turn_id`,
    );
    return changed.length > 0;
  }
}

function isKey({ principal, agentId, name }: TurnKey): SqlPart {
  return part`principal = ${principal} AND agent_id = ${agentId} AND name = ${name}`;
}
