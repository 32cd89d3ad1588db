import type { EventCodec } from '#libs/protocol';
import { eventCodec } from '#libs/protocol';
import type { Database } from '#libs/sql';
import { part, raw } from '#libs/sql';
import type { EntityManager } from 'typeorm';
import type { Projection } from '../projection/projection.js';
import { PROJECTOR } from '../projection/projection.js';
import type { Fault, FoldRecord } from '../projection/record-fold.js';
import { integer, rows } from '../statement.js';
import { stateBefore, storedState } from './stored-state.js';

/** A session that is quarantined, or the records of a partition that are of no session. */
export interface QuarantinedSession extends Fault {
  readonly sessionId: string;
  readonly partition: number;
  /** Events that are held. */
  readonly events: number;
}

export interface QuarantinedEvent {
  readonly partition: number;
  readonly offset: number;
  readonly eventId: string | null;
  readonly eventType: string | null;
  readonly reason: string;
  /** As it stands in the log; null where it was not asked for: people and models wrote it. */
  readonly value: string | null;
}

/** What an alarm and telemetry want to know. */
export interface QuarantineCounts {
  readonly sessions: number;
  /** Held ones. */
  readonly events: number;
  /** Passed over, because they were unknown and optional. */
  readonly skipped: number;
}

export type RetryOutcome =
  /** It is not quarantined. */
  | { readonly type: 'none' }
  /** All its events are folded, and it is served again. */
  | { readonly type: 'folded'; readonly events: number }
  /** Some may be folded; this one cannot be. */
  | { readonly type: 'held'; readonly events: number; readonly fault: Fault };

type Step = RetryOutcome | { readonly type: 'more'; readonly events: number };

/** Events that are tried again in one transaction, and its bytes: it ends with what passes them. */
const PAGE = { events: 100, bytes: 4 * 1024 * 1024 };
const SESSIONS = 100;

/**
 * The sessions with an event that could not be folded [A12]: what is held of them, and another try.
 *
 * A try folds the events of a session in their order, in transactions of bounded size. Each holds
 * the row of the partition's position, which the projector's own batches write first: so none of
 * them is at work meanwhile, and a live event either is held already and is tried too, or comes
 * when the session is served again. Until its last event is folded the session stays quarantined,
 * and what comes is held behind the others. Tries of several processes come one after another, and
 * the later finds nothing left to do.
 */
export class Quarantine {
  constructor(
    private readonly database: Database,
    private readonly projection: Projection,
    private readonly codec: EventCodec = eventCodec,
  ) {}

  async counts(): Promise<QuarantineCounts> {
    const [row] = await this.database.read(
      (reader) => rows(reader)<QuarantineCounts>`
        SELECT COUNT(*) AS sessions, COALESCE(SUM(event_count), 0) AS events,
          (SELECT COALESCE(SUM(count), 0) FROM skipped_events) AS skipped
        FROM quarantined_sessions`,
    );
    return row ?? { sessions: 0, events: 0, skipped: 0 };
  }

  /** Those behind a session id in the order of their ids, or the first, at most `limit`. */
  async list(after: string, limit: number): Promise<readonly QuarantinedSession[]> {
    return this.database.read(
      (reader) => rows(reader)<QuarantinedSession>`
        SELECT ${raw(COLUMNS)} FROM quarantined_sessions WHERE session_id > ${after}
        ORDER BY session_id LIMIT ${raw(integer(limit))}`,
    );
  }

  /** Null where it is not quarantined. */
  async find(sessionId: string): Promise<QuarantinedSession | null> {
    return this.database.read((reader) => find(reader, sessionId));
  }

  /** The events that are held of a session, from an offset on, at most `limit`. */
  async events(
    sessionId: string,
    from: number,
    limit: number,
    { withContent }: { readonly withContent: boolean },
  ): Promise<readonly QuarantinedEvent[]> {
    const value = withContent ? 'value' : 'NULL';
    return this.database.read(
      (reader) => rows(reader)<QuarantinedEvent>`
        SELECT log_partition AS "partition", log_offset AS "offset", event_id AS "eventId",
          event_type AS "eventType", reason, ${raw(value)} AS value
        FROM quarantined_events WHERE session_id = ${sessionId} AND log_offset >= ${from}
        ORDER BY log_offset LIMIT ${raw(integer(limit))}`,
    );
  }

  /** Tries the events of a session again, in their order, as far as they can be folded. */
  async retry(sessionId: string): Promise<RetryOutcome> {
    for (let events = 0; ;) {
      const step = await this.database.write((transaction) => this.step(transaction, sessionId));
      // Where some were tried here, another process has done the rest.
      if (step.type === 'none') return events === 0 ? step : { type: 'folded', events };
      events += step.events;
      if (step.type !== 'more') return { ...step, events };
    }
  }

  /** Tries the events of all quarantined sessions of a partition. */
  async retryPartition(
    partition: number,
    tell: (sessionId: string, outcome: RetryOutcome) => void,
  ): Promise<void> {
    let after = '';
    for (;;) {
      const found = await this.database.read(
        (reader) => rows(reader)<{ readonly sessionId: string }>`
          SELECT session_id AS "sessionId" FROM quarantined_sessions
          WHERE log_partition = ${partition} AND session_id > ${after}
            AND reason <> 'no_session'
          ORDER BY session_id LIMIT ${raw(integer(SESSIONS))}`,
      );
      for (const { sessionId } of found) tell(sessionId, await this.retry(sessionId));
      const last = found.at(-1);
      if (last === undefined) return;
      after = last.sessionId;
    }
  }

  private async step(transaction: EntityManager, sessionId: string): Promise<Step> {
    const known = await find(transaction, sessionId);
    if (known === null) return { type: 'none' };
    await this.holdProjector(transaction, known.partition);
    const [row] = await rows(transaction)<{ readonly state: string }>`
      SELECT state FROM sessions WHERE session_id = ${sessionId}`;
    const state = row === undefined ? null : storedState(row.state);
    // Another process may have been quicker.
    const session = await find(transaction, sessionId);
    if (session === null || state?.phase !== 'quarantined') return { type: 'none' };
    const records = await this.page(transaction, sessionId);
    const { partition } = session;
    const isAll = records.length >= session.events;
    const before = stateBefore(state);
    const fault = await this.projection.resume(transaction, {
      ...{ sessionId, partition, before, records, isAll },
    });
    const folded = fault === null ? records : records.filter((record) => isBefore(record, fault));
    await settle(transaction, sessionId, folded, fault, isAll);
    if (fault !== null) return { type: 'held', events: folded.length, fault };
    return { type: isAll ? 'folded' : 'more', events: folded.length };
  }

  /** Until the transaction ends; SQLite has one writer. */
  private async holdProjector(transaction: EntityManager, partition: number): Promise<void> {
    const lock = this.database.dialect === 'postgres' ? part`FOR UPDATE` : part``;
    await rows(transaction)`
      SELECT next_offset FROM consumer_positions
      WHERE consumer = ${PROJECTOR} AND "partition" = ${partition} ${lock}`;
  }

  private async page(
    transaction: EntityManager,
    sessionId: string,
  ): Promise<readonly FoldRecord[]> {
    const found = await rows(transaction)<{ readonly offset: number; readonly value: string }>`
      WITH page AS (
        SELECT log_offset, value, octet_length(value) AS bytes FROM quarantined_events
        WHERE session_id = ${sessionId} ORDER BY log_offset LIMIT ${raw(integer(PAGE.events))}
      ), sized AS (
        SELECT page.*, SUM(bytes) OVER (ORDER BY log_offset) - bytes AS before FROM page
      )
      SELECT log_offset AS "offset", value FROM sized
      WHERE before < ${raw(integer(PAGE.bytes))} ORDER BY log_offset`;
    return found.map(({ offset, value }) => {
      return { ...this.codec.read(sessionId, value), position: { offset } };
    });
  }
}

const COLUMNS = `session_id AS "sessionId", log_partition AS "partition", since_offset AS "offset",
  reason, detail, event_count AS events`;

async function find(reader: EntityManager, sessionId: string): Promise<QuarantinedSession | null> {
  const [row] = await rows(reader)<QuarantinedSession>`
    SELECT ${raw(COLUMNS)} FROM quarantined_sessions WHERE session_id = ${sessionId}`;
  return row ?? null;
}

/** Takes away what was folded, and says what stands in the way now. */
async function settle(
  transaction: EntityManager,
  sessionId: string,
  folded: readonly FoldRecord[],
  fault: Fault | null,
  isAll: boolean,
): Promise<void> {
  const last = folded.at(-1);
  if (last !== undefined) {
    await rows(transaction)`
      DELETE FROM quarantined_events
      WHERE session_id = ${sessionId} AND log_offset <= ${last.position.offset}`;
  }
  if (fault === null && isAll) {
    await rows(transaction)`DELETE FROM quarantined_sessions WHERE session_id = ${sessionId}`;
    return;
  }
  const now =
    fault === null
      ? part``
      : part`, since_offset = ${fault.offset}, reason = ${fault.reason}, detail = ${fault.detail}`;
  await rows(transaction)`
    UPDATE quarantined_sessions SET event_count = event_count - ${folded.length} ${now}
    WHERE session_id = ${sessionId}`;
  if (fault === null) return;
  await rows(transaction)`
    UPDATE quarantined_events SET reason = ${fault.reason}
    WHERE session_id = ${sessionId} AND log_offset = ${fault.offset}`;
}

function isBefore({ position }: FoldRecord, { offset }: Fault): boolean {
  return position.offset < offset;
}
