import type { ProcessAddress } from '#libs/protocol';
import type { Database } from '#libs/sql';
import { raw } from '#libs/sql';
import type { EntityManager } from 'typeorm';
import { isSilent } from '../processes/processes.js';
import { rows } from '../statement.js';

export interface ClaimRequest {
  readonly sessionId: string;
  readonly turnId: string;
  readonly runner: ProcessAddress;
}

export type ClaimOutcome =
  | {
      readonly type: 'claimed';
      readonly epoch: number;
      /** The log head to wait for before the read models are believed; -1 if none is known. */
      readonly head: number;
    }
  /** Somebody holds it, or the fold shows an open turn. */
  | { readonly type: 'refused' };

/** Which session an agent's first request is to open. */
export interface OpenRequest extends ClaimRequest {
  readonly principal: string;
  readonly agentId: string;
  /**
   * `join`: only if the agent has no live session. Else the live session that the new one takes the
   * place of, or `any`.
   */
  readonly replaces: 'join' | 'any' | { readonly sessionId: string };
}

export type OpenOutcome =
  | { readonly type: 'opened'; readonly epoch: number }
  /** Another request opened one first. */
  | { readonly type: 'joined'; readonly sessionId: string };

export interface ClaimState {
  readonly turnId: string | null;
  readonly epoch: number;
  readonly head: number;
}

/** A claim whose runner is silent, or an open turn that nobody holds a claim for. */
export interface Orphan {
  readonly sessionId: string;
  readonly turnId: string;
  /** The epoch of the silent claim; null where no claim is held. */
  readonly epoch: number | null;
}

/**
 * Who may act on a session now. Each claim has an epoch above every earlier one, also above those
 * that were lost with the table: the greatest of claim + 1, folded + 1 and the database's clock in
 * ms [A3]. A released claim keeps its row and the log head [A5]. Every operation is one
 * transaction; what it answers is durable.
 */
export class Claims {
  private readonly greatest: string;
  /** SQL: the least epoch of a claim that has no row yet. */
  private readonly nextEpoch: string;

  constructor(private readonly database: Database) {
    this.greatest = database.dialect === 'postgres' ? 'GREATEST' : 'MAX';
    this.nextEpoch = `${this.greatest}(fold.folded + 1, ${database.nowMs})`;
  }

  /** Claims an existing session. The caller has waited until its fold is known [A5]. */
  async claim(request: ClaimRequest): Promise<ClaimOutcome> {
    return this.database.writeOne(async (writer) => {
      const { sessionId, turnId, runner } = request;
      const [row] = await rows(writer)<{ epoch: number; head: number }>`
        INSERT INTO claims (session_id, turn_id, epoch, runner_slot, runner_incarnation, head_offset)
        SELECT ${sessionId}, ${turnId}, ${raw(this.nextEpoch)}, ${raw(integer(runner.slot))}, ${runner.incarnation}, -1
        FROM (SELECT COALESCE(MAX(epoch), 0) AS folded FROM sessions WHERE session_id = ${sessionId}) AS fold
        WHERE NOT EXISTS (SELECT 1 FROM sessions WHERE session_id = ${sessionId} AND open_turn_id IS NOT NULL)
        ON CONFLICT (session_id) DO UPDATE SET turn_id = excluded.turn_id,
          epoch = ${raw(this.greatest)}(claims.epoch + 1, excluded.epoch),
          runner_slot = excluded.runner_slot, runner_incarnation = excluded.runner_incarnation
        WHERE claims.turn_id IS NULL
        RETURNING epoch, head_offset AS head`;
      return row === undefined ? { type: 'refused' } : { type: 'claimed', ...row };
    });
  }

  /**
   * Claims a session id just made, together with being the agent's live session: of several that
   * try, one opens.
   */
  async open(request: OpenRequest): Promise<OpenOutcome> {
    return this.database.write(async (transaction) => {
      const { sessionId, turnId, runner, principal, agentId } = request;
      const live = await this.becomeLive(transaction, request);
      if (live !== null) return { type: 'joined', sessionId: live };
      const [row] = await rows(transaction)<{ epoch: number }>`
        INSERT INTO claims (session_id, turn_id, epoch, runner_slot, runner_incarnation, head_offset)
        SELECT ${sessionId}, ${turnId}, opened_epoch, ${raw(integer(runner.slot))}, ${runner.incarnation}, -1
        FROM live_sessions WHERE principal = ${principal} AND agent_id = ${agentId}
        RETURNING epoch`;
      if (row === undefined)
        throw new Error('the live session row vanished inside its own transaction');
      return { type: 'opened', epoch: row.epoch };
    });
  }

  /** Null if the request's session is the live one now, else the one that is. */
  private async becomeLive(
    transaction: EntityManager,
    request: OpenRequest,
  ): Promise<string | null> {
    const { principal, agentId, sessionId, replaces } = request;
    const allowed = replaces === 'any' ? '1 = 1' : '1 = 0';
    const replaced = typeof replaces === 'object' ? replaces.sessionId : '';
    const [won] = await rows(transaction)<{ session_id: string }>`
      INSERT INTO live_sessions (principal, agent_id, session_id, opened_epoch)
      VALUES (${principal}, ${agentId}, ${sessionId}, ${raw(this.database.nowMs)})
      ON CONFLICT (principal, agent_id) DO UPDATE SET session_id = excluded.session_id,
        opened_epoch = ${raw(this.greatest)}(live_sessions.opened_epoch + 1, excluded.opened_epoch)
      WHERE ${raw(allowed)} OR live_sessions.session_id = ${replaced}
      RETURNING session_id`;
    if (won !== undefined) return null;
    const [row] = await rows(transaction)<{ session_id: string }>`
      SELECT session_id FROM live_sessions WHERE principal = ${principal} AND agent_id = ${agentId}`;
    return row?.session_id ?? null;
  }

  /**
   * Ends a claim, leaving the log head; false if it is not held at this epoch any more: a rival may
   * have acted [A3].
   */
  async release(sessionId: string, epoch: number, head: number | null): Promise<boolean> {
    return this.database.writeOne(async (writer) => {
      const released = await rows(writer)`
        UPDATE claims SET turn_id = NULL, head_offset = ${raw(this.greatest)}(head_offset, CAST(${head ?? -1} AS bigint))
        WHERE session_id = ${sessionId} AND epoch = ${epoch} AND turn_id IS NOT NULL RETURNING session_id`;
      return released.length > 0;
    });
  }

  async inspect(sessionId: string): Promise<ClaimState | null> {
    return this.database.read(async (reader) => {
      const [row] = await rows(reader)<ClaimState>`
        SELECT turn_id AS "turnId", epoch, head_offset AS head FROM claims WHERE session_id = ${sessionId}`;
      return row ?? null;
    });
  }

  /** What nobody looks after: claims of silent runners, and open turns without a claim [A6]. */
  async orphans(
    me: ProcessAddress,
    othersDead: boolean,
    limit: number,
  ): Promise<readonly Orphan[]> {
    const silent = isSilent(
      this.database,
      'c.runner_slot',
      'c.runner_incarnation',
      othersDead ? me : null,
    );
    return this.database.read(
      (reader) => rows(reader)<Orphan>`
        SELECT c.session_id AS "sessionId", c.turn_id AS "turnId", c.epoch AS epoch FROM claims c
        WHERE c.turn_id IS NOT NULL AND ${raw(silent)}
        UNION ALL
        SELECT s.session_id, s.open_turn_id, NULL FROM sessions s
        LEFT JOIN claims c ON c.session_id = s.session_id
        WHERE s.open_turn_id IS NOT NULL AND c.turn_id IS NULL
        LIMIT ${raw(integer(limit))}`,
    );
  }

  /**
   * Takes an orphan over, at the next epoch; null if somebody else did, or its runner is heard of
   * again.
   */
  async adopt(orphan: Orphan, runner: ProcessAddress, othersDead: boolean): Promise<number | null> {
    const { sessionId, turnId } = orphan;
    const silent = isSilent(
      this.database,
      'claims.runner_slot',
      'claims.runner_incarnation',
      othersDead ? runner : null,
    );
    const unchanged =
      orphan.epoch === null
        ? 'claims.turn_id IS NULL'
        : `claims.epoch = ${integer(orphan.epoch)} AND ${silent}`;
    return this.database.writeOne(async (writer) => {
      const [row] = await rows(writer)<{ epoch: number }>`
        INSERT INTO claims (session_id, turn_id, epoch, runner_slot, runner_incarnation, head_offset)
        SELECT ${sessionId}, ${turnId}, ${raw(this.nextEpoch)}, ${raw(integer(runner.slot))}, ${runner.incarnation}, -1
        FROM (SELECT COALESCE(MAX(epoch), 0) AS folded FROM sessions WHERE session_id = ${sessionId}) AS fold
        WHERE 1 = 1
        ON CONFLICT (session_id) DO UPDATE SET turn_id = excluded.turn_id,
          epoch = ${raw(this.greatest)}(claims.epoch + 1, excluded.epoch),
          runner_slot = excluded.runner_slot, runner_incarnation = excluded.runner_incarnation
        WHERE ${raw(unchanged)}
        RETURNING epoch`;
      return row?.epoch ?? null;
    });
  }
}

/** A number as SQL text: its type stays an integer where a parameter's would have to be guessed. */
function integer(value: number): string {
  if (!Number.isSafeInteger(value)) throw new RangeError(`not an integer: ${String(value)}`);
  return String(value);
}
