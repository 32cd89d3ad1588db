import type { SessionState } from '#libs/domain';
import type { ProcessAddress } from '#libs/protocol';
import type { Database } from '#libs/sql';
import { PROJECTOR } from '../projection/projection.js';
import { lastState, storedState } from '../quarantine/stored-state.js';
import { rows } from '../statement.js';

/** The row of a session's claim, with what is known of the process that holds or held it. */
export interface InspectedClaim {
  /** Null once it is released. */
  readonly turnId: string | null;
  readonly epoch: number;
  readonly runner: ProcessAddress;
  /** Null where the table of processes does not know the runner any more. */
  readonly process: { readonly beat: number; readonly hasLeft: boolean } | null;
  /** The log head; -1 before any is known. */
  readonly head: number;
  /** Turns whose answers nobody has confirmed. */
  readonly unconfirmed: readonly string[];
}

/** All that the database knows of one session's state, as of one moment. */
export interface InspectedSession {
  /** Null where none is folded; as of before it was quarantined. */
  readonly state: SessionState | null;
  readonly isQuarantined: boolean;
  /** The projector's next offset in the partition. */
  readonly foldedTo: number;
  readonly claim: InspectedClaim | null;
}

interface InspectionRow {
  readonly state: string | null;
  readonly foldedTo: number | null;
  readonly turnId: string | null;
  readonly epoch: number | null;
  readonly slot: number | null;
  readonly incarnation: string | null;
  readonly head: number | null;
  readonly unconfirmed: string | null;
  readonly beat: number | null;
  readonly hasLeft: number | null;
}

/** What an operator who looks for a fault wants to see of a session; it waits for nothing. */
export class SessionInspection {
  constructor(private readonly database: Database) {}

  /** One statement, so that the state is the fold of exactly the records before `foldedTo`. */
  async inspect(sessionId: string, partition: number): Promise<InspectedSession> {
    const [row] = await this.database.read(
      (reader) => rows(reader)<InspectionRow>`
        SELECT s.state AS state, f.next_offset AS "foldedTo", c.turn_id AS "turnId",
          c.epoch AS epoch, c.runner_slot AS slot, c.runner_incarnation AS incarnation,
          c.head_offset AS head, c.unconfirmed AS unconfirmed, p.beat AS beat,
          p.has_left AS "hasLeft"
        FROM (SELECT CAST(${sessionId} AS varchar(36)) AS id) t
        LEFT JOIN sessions s ON s.session_id = t.id
        LEFT JOIN claims c ON c.session_id = t.id
        LEFT JOIN processes p ON p.incarnation = c.runner_incarnation
        LEFT JOIN consumer_positions f
          ON f.consumer = ${PROJECTOR} AND f."partition" = ${partition}`,
    );
    const state = row?.state ?? null;
    return {
      state: state === null ? null : lastState(state),
      isQuarantined: state !== null && storedState(state).phase === 'quarantined',
      foldedTo: row?.foldedTo ?? 0,
      claim: row === undefined ? null : claimOf(row),
    };
  }
}

function claimOf(row: InspectionRow): InspectedClaim | null {
  const { turnId, epoch, slot, incarnation, head, unconfirmed, beat, hasLeft } = row;
  if (epoch === null || slot === null || incarnation === null) return null;
  return {
    turnId,
    epoch,
    runner: { slot, incarnation },
    process: beat === null ? null : { beat, hasLeft: hasLeft === 1 },
    head: head ?? -1,
    unconfirmed: (unconfirmed ?? '')
      .split(';')
      .flatMap((mark) => (mark === '' ? [] : [mark.split('@')[0] ?? ''])),
  };
}
