import type { SessionState } from '#libs/domain';
import type { ProcessAddress } from '#libs/protocol';
import type { Database } from '#libs/sql';
import type { SqlPart } from '#libs/sql';
import { part, raw } from '#libs/sql';
import { PROJECTOR } from '../projection/projection.js';
import { servedState } from '../quarantine/stored-state.js';
import { liveSession } from '../reads/live-session.js';
import { integer, rows } from '../statement.js';
import { ClaimsInUse } from './claims-in-use.js';
import type { TakeOver } from './take-over.js';
import { takeOver } from './take-over.js';
import { unconfirmedMark } from './unconfirmed-answers.js';

/** Whose turn is to run next: the session itself, or the live session of an agent. */
export type ClaimTarget =
  | {
      readonly type: 'session';
      readonly sessionId: string;
      /** Null: whoever owns it. */
      readonly principal: string | null;
    }
  | { readonly type: 'live'; readonly principal: string; readonly agentId: string };

export interface ClaimRequest {
  readonly target: ClaimTarget;
  /** A new id: by it a claim whose answer was lost is found again. */
  readonly turnId: string;
  readonly runner: ProcessAddress;
  /** Whether it may be claimed while turns wait in it: not to run one of them. */
  readonly beforeWaiting?: boolean;
}

/** A session as the same statement saw it that tried to claim it. */
interface SeenSession {
  readonly state: SessionState;
  /** The fold's next offset in the session's partition then. */
  readonly foldedTo: number;
}

export type ClaimOutcome =
  | {
      readonly type: 'claimed';
      readonly sessionId: string;
      readonly epoch: number;
      /** The log head to wait for before the read models are believed; -1 if none is known. */
      readonly head: number;
      readonly seen: SeenSession;
    }
  | SeenTarget;

/** The target as it was seen by a statement that did not claim it. */
export type SeenTarget =
  /**
   * Somebody holds it, or the fold shows an open turn, waiting ones or another owner (`seen`), or
   * no session of that id is folded (`seen` is null). `head`: as of a claim.
   */
  | {
      readonly type: 'refused';
      readonly sessionId: string;
      readonly head: number;
      readonly seen: SeenSession | null;
    }
  /** The agent has no live session. */
  | { readonly type: 'none' };

/** Which session an agent's first request is to open. */
export interface OpenRequest {
  readonly sessionId: string;
  readonly turnId: string;
  readonly runner: ProcessAddress;
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
  /** Who holds it, or held it last. */
  readonly runner: ProcessAddress;
  readonly epoch: number;
  readonly head: number;
}

export interface Release {
  readonly sessionId: string;
  readonly turnId: string;
  readonly epoch: number;
  /** Offset of the last owned event that was acknowledged; null if there was none. */
  readonly head: number | null;
  /** The process that is about to answer a caller, so that a crash makes the answer owed. */
  readonly answeredBy: string | null;
}

interface ClaimedRow {
  readonly sessionId: string;
  readonly epoch: number;
  readonly head: number;
}

interface SeenRow {
  readonly sessionId: string;
  readonly state: string | null;
  readonly foldedTo: number | null;
  readonly lastHead: number | null;
}

/**
 * Who may act on a session now. Each claim has an epoch above every earlier one, also above those
 * that were lost with the table: the greatest of claim + 1, folded + 1 and the database's clock in
 * ms [A3]. A released claim keeps its row and the log head [A5]. Every operation is one round trip
 * to Postgres.
 */
export class Claims {
  /** The claims that something in this process looks after. */
  readonly inUse = new ClaimsInUse();
  private readonly greatest: string;

  constructor(private readonly database: Database) {
    this.greatest = database.dialect === 'postgres' ? 'GREATEST' : 'MAX';
  }

  /**
   * Claims an existing session, and says what the read models show of it. Where these are behind
   * the head, they may still show an open turn: whoever wins waits for the head, and looks again.
   * @throws SessionQuarantined: nobody acts on what is folded of it [A12]
   */
  async claim(request: ClaimRequest): Promise<ClaimOutcome> {
    return this.inUse.during<ClaimOutcome>(request.turnId, async () => {
      const { claimed, seen: row } = await this.tryClaim(request);
      const target = seenTarget(row);
      if (target.type === 'none' || claimed === undefined || target.seen === null) {
        return { outcome: target, isHeld: false };
      }
      const { epoch, head } = claimed;
      const { sessionId, seen } = target;
      return { outcome: { type: 'claimed', sessionId, epoch, head, seen }, isHeld: true };
    });
  }

  /** What a claim would see, without trying one. @throws SessionQuarantined */
  async look(target: ClaimTarget): Promise<SeenTarget> {
    const [row] = await this.database.read(
      (reader) => rows(reader)<SeenRow>`${seenStatement(target)}`,
    );
    return seenTarget(row);
  }

  /**
   * Claims a session id just made, together with being the agent's live session: of several that
   * try, one opens.
   */
  async open(request: OpenRequest): Promise<OpenOutcome> {
    return this.inUse.during<OpenOutcome>(request.turnId, async () => {
      const epoch = await this.tryOpen(request);
      if (epoch !== undefined) return { outcome: { type: 'opened', epoch }, isHeld: true };
      const { principal, agentId } = request;
      const live = await liveSession(this.database, principal, agentId);
      if (live === null) throw new Error('the live session vanished while it was joined');
      return { outcome: { type: 'joined', sessionId: live }, isHeld: false };
    });
  }

  /**
   * Ends a claim, leaving the log head; false if it is not held at this epoch any more, because
   * then a rival may have acted [A3].
   */
  async release({ sessionId, turnId, epoch, head, answeredBy }: Release): Promise<boolean> {
    const mark = answeredBy === null ? '' : unconfirmedMark(turnId, answeredBy);
    const released = await this.database.writeOne(
      (writer) => rows(writer)`
        UPDATE claims SET turn_id = NULL, unconfirmed = unconfirmed || ${mark},
          head_offset = ${raw(this.greatest)}(head_offset, CAST(${head ?? -1} AS bigint))
        WHERE session_id = ${sessionId} AND epoch = ${epoch} AND turn_id IS NOT NULL
        RETURNING session_id`,
    );
    this.inUse.end(turnId);
    return released.length > 0;
  }

  /**
   * Takes the claim of a turn that is to be stopped from whoever holds it, at the next epoch; null
   * where the session is another turn's [A13]. Call it inside `inUse.whileStopping`.
   */
  async seize(sessionId: string, turnId: string, runner: ProcessAddress): Promise<number | null> {
    const where = part`claims.turn_id IS NULL OR claims.turn_id = ${turnId}`;
    return takeOver(this.database, { sessionId, turnId, runner, where });
  }

  /**
   * Takes the claim of a session for a new turn that ends the one that runs; null where it is not
   * held by `over` any more (null: by nobody). The epoch below the one that it gives is its own,
   * too: the end of the turn that runs is stated at that [A14].
   */
  async interrupt(
    { sessionId, turnId, runner }: Pick<TakeOver, 'sessionId' | 'turnId' | 'runner'>,
    over: string | null,
  ): Promise<number | null> {
    const where = over === null ? part`claims.turn_id IS NULL` : part`claims.turn_id = ${over}`;
    const sets = part`, interrupted_epoch = claims.epoch`;
    const taking = { sessionId, turnId, runner, where, epochs: 2, sets };
    return this.inUse.during(turnId, async () => {
      const epoch = await takeOver(this.database, taking);
      return { outcome: epoch, isHeld: epoch !== null };
    });
  }

  /** Whether a turn that interrupts has taken the session since it was claimed at this epoch. */
  async wasInterrupted(sessionId: string, epoch: number): Promise<boolean> {
    const found = await this.database.read(
      (reader) => rows(reader)`
        SELECT 1 FROM claims WHERE session_id = ${sessionId} AND interrupted_epoch >= ${epoch}`,
    );
    return found.length > 0;
  }

  /**
   * Says, while the claim is held at this epoch, that a process is about to tell somebody how
   * another turn has ended, so that a crash makes that owed.
   */
  async promise(
    { sessionId, epoch }: Pick<Release, 'sessionId' | 'epoch'>,
    turnId: string,
    answeredBy: string,
  ): Promise<void> {
    await this.database.writeOne(
      (writer) => rows(writer)`
        UPDATE claims SET unconfirmed = unconfirmed || ${unconfirmedMark(turnId, answeredBy)}
        WHERE session_id = ${sessionId} AND epoch = ${epoch}`,
    );
  }

  /** Ends a claim of which only the turn is known. */
  async abandon(sessionId: string, turnId: string): Promise<void> {
    await this.database.writeOne(
      (writer) => rows(writer)`
        UPDATE claims SET turn_id = NULL WHERE session_id = ${sessionId} AND turn_id = ${turnId}`,
    );
  }

  async inspect(sessionId: string): Promise<ClaimState | null> {
    return this.database.read(async (reader) => {
      const [row] = await rows(reader)<
        Omit<ClaimState, 'runner'> & { readonly slot: number; readonly incarnation: string }
      >`
        SELECT turn_id AS "turnId", epoch, head_offset AS head, runner_slot AS slot,
          runner_incarnation AS incarnation
        FROM claims WHERE session_id = ${sessionId}`;
      if (row === undefined) return null;
      const { slot, incarnation, ...columns } = row;
      return { ...columns, runner: { slot, incarnation } };
    });
  }

  private async tryClaim(
    request: ClaimRequest,
  ): Promise<{ readonly claimed: ClaimedRow | undefined; readonly seen: SeenRow | undefined }> {
    if (this.database.dialect === 'sqlite') {
      const [claimed] = await this.database.writeOne(
        (writer) => rows(writer)<ClaimedRow & SeenRow>`
          ${this.claimStatement(request)}, ${seenOfClaimed}`,
      );
      if (claimed !== undefined) return { claimed, seen: claimed };
      const [seen] = await this.database.read(
        (reader) => rows(reader)<SeenRow>`${seenStatement(request.target)}`,
      );
      return { claimed, seen };
    }
    const [row] = await this.database.writeOne(
      (writer) => rows(writer)<SeenRow & { epoch: number | null; head: number | null }>`
        WITH claimed AS (${this.claimStatement(request)}),
          seen AS (${seenStatement(request.target)})
        SELECT seen.*, claimed.epoch, claimed.head
        FROM seen LEFT JOIN claimed ON claimed."sessionId" = seen."sessionId"`,
    );
    if (row === undefined) return { claimed: undefined, seen: undefined };
    const { sessionId, epoch, head } = row;
    const isClaimed = epoch !== null && head !== null;
    return { claimed: isClaimed ? { sessionId, epoch, head } : undefined, seen: row };
  }

  private claimStatement({ target, turnId, runner, beforeWaiting }: ClaimRequest): SqlPart {
    const mayUse =
      target.type === 'session' && target.principal === null
        ? part`1 = 1`
        : part`s.principal = ${target.principal}`;
    return part`
      INSERT INTO claims (${raw(COLUMNS)})
      SELECT s.session_id, ${turnId}, ${raw(this.greatest)}(s.epoch + 1, ${raw(this.database.nowMs)}),
        ${raw(integer(runner.slot))}, ${runner.incarnation}, -1, ''
      FROM sessions s
      WHERE s.session_id = ${targetId(target)} AND ${mayUse} AND s.phase <> 'quarantined'
        AND ((s.open_turn_id IS NULL
            AND (${raw(beforeWaiting === true ? '1 = 1' : 's.next_turn_id IS NULL')}
              OR s.next_turn_id = ${turnId}))
          OR ${isBehind})
      ON CONFLICT (session_id) DO UPDATE SET turn_id = excluded.turn_id,
        epoch = ${raw(this.greatest)}(claims.epoch + 1, excluded.epoch),
        runner_slot = excluded.runner_slot, runner_incarnation = excluded.runner_incarnation
      WHERE claims.turn_id IS NULL
      RETURNING session_id AS "sessionId", epoch, head_offset AS head`;
  }

  /** The epoch; undefined if the agent has another live session. */
  private async tryOpen(request: OpenRequest): Promise<number | undefined> {
    const { sessionId, turnId, runner } = request;
    const values = part`${sessionId}, ${turnId}, opened_epoch, ${raw(integer(runner.slot))},
      ${runner.incarnation}, -1, ''`;
    const becomeLive = this.becomeLiveStatement(request);
    if (this.database.dialect === 'postgres') {
      const [row] = await this.database.writeOne(
        (writer) => rows(writer)<{ epoch: number }>`
          WITH live AS (${becomeLive})
          INSERT INTO claims (${raw(COLUMNS)}) SELECT ${values} FROM live RETURNING epoch`,
      );
      return row?.epoch;
    }
    return this.database.write(async (transaction) => {
      const [live] = await rows(transaction)`${becomeLive}`;
      if (live === undefined) return undefined;
      const [row] = await rows(transaction)<{ epoch: number }>`
        INSERT INTO claims (${raw(COLUMNS)})
        SELECT ${values} FROM live_sessions
        WHERE principal = ${request.principal} AND agent_id = ${request.agentId} RETURNING epoch`;
      return row?.epoch;
    });
  }

  private becomeLiveStatement({ principal, agentId, sessionId, replaces }: OpenRequest): SqlPart {
    const allowed = replaces === 'any' ? '1 = 1' : '1 = 0';
    const replaced = typeof replaces === 'object' ? replaces.sessionId : '';
    return part`
      INSERT INTO live_sessions (principal, agent_id, session_id, opened_epoch)
      VALUES (${principal}, ${agentId}, ${sessionId}, ${raw(this.database.nowMs)})
      ON CONFLICT (principal, agent_id) DO UPDATE SET session_id = excluded.session_id,
        opened_epoch = ${raw(this.greatest)}(live_sessions.opened_epoch + 1, excluded.opened_epoch)
      WHERE ${raw(allowed)} OR live_sessions.session_id = ${replaced}
      RETURNING opened_epoch`;
  }
}

/** No parameter: SQLite plans a statement anew at each run where one decides about the plan. */
const projector = raw(`'${PROJECTOR}'`);

/** What `seenStatement` says, of a row that was claimed. */
const seenOfClaimed = part`
  (SELECT state FROM sessions s WHERE s.session_id = claims.session_id) AS state,
  (SELECT next_offset FROM sessions s JOIN consumer_positions p
      ON p.consumer = ${projector} AND p."partition" = s.log_partition
    WHERE s.session_id = claims.session_id) AS "foldedTo",
  head_offset AS "lastHead"`;

/**
 * The fold has not reached what the last release left of the session, so the turn that is open in
 * it may have ended, and the one that waits may have run.
 */
const isBehind = part`EXISTS (
  SELECT 1 FROM claims c JOIN consumer_positions p
    ON p.consumer = ${projector} AND p."partition" = s.log_partition
  WHERE c.session_id = s.session_id AND c.head_offset >= p.next_offset)`;

const COLUMNS = `session_id, turn_id, epoch, runner_slot, runner_incarnation, head_offset,
  unconfirmed`;

function seenTarget(row: SeenRow | undefined): SeenTarget {
  if (row === undefined) return { type: 'none' };
  const { sessionId, state, foldedTo, lastHead } = row;
  return {
    type: 'refused',
    sessionId,
    head: lastHead ?? -1,
    seen: state === null ? null : { state: servedState(state), foldedTo: foldedTo ?? 0 },
  };
}

function targetId(target: ClaimTarget): SqlPart {
  return target.type === 'session'
    ? part`${target.sessionId}`
    : part`(SELECT session_id FROM live_sessions
        WHERE principal = ${target.principal} AND agent_id = ${target.agentId})`;
}

/** The target, also where it is not folded yet; no row where an agent has no live session. */
function seenStatement(target: ClaimTarget): SqlPart {
  return part`
    SELECT t.id AS "sessionId", s.state, p.next_offset AS "foldedTo",
      (SELECT head_offset FROM claims c WHERE c.session_id = t.id) AS "lastHead"
    FROM (SELECT CAST(${targetId(target)} AS varchar(36)) AS id) t
    LEFT JOIN sessions s ON s.session_id = t.id
    LEFT JOIN consumer_positions p
      ON p.consumer = ${projector} AND p."partition" = s.log_partition
    WHERE t.id IS NOT NULL`;
}
