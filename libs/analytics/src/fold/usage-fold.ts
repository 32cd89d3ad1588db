import { Logger } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { SessionState } from '#libs/domain';
import type { LogEvent } from '#libs/protocol';
import { sql, tuples } from '#libs/sql';
import type { CountedSession, CountedTurn } from './counted-session.js';
import { NEW_SESSION, column } from './counted-session.js';
import { countEvent } from './count-event.js';
import type { Count, Counted } from './count-event.js';
import { MAX_PATTERN, durationCounts } from './counters.js';
import { WaitingTurns } from './waiting-turns.js';

/** The consumer of the log that counts usage. */
export const ANALYTICS = 'analytics';

/** Rows of one statement, well below what either database takes of parameters. */
const ROWS = 1_000;

/** A counter of one day, principal, agent, model and device. */
type Cell = readonly [
  day: string,
  principal: string,
  agent: string,
  model: string,
  device: string,
  counter: string,
];

/**
 * Usage as a pure fold of the log [A4], in tables of its own. A batch takes a constant number of
 * statements, and rows in proportion to its events [A11].
 */
export class UsageFold {
  private readonly logger = new Logger('Usage');

  constructor(private readonly count: typeof countEvent = countEvent) {}

  /** Counts events of a partition, in log order, inside the caller's transaction. */
  async apply(transaction: EntityManager, events: readonly LogEvent[]): Promise<void> {
    if (events.length === 0) return;
    const before = await load(transaction, new Set(events.map((event) => event.session_id)));
    const waiting = await WaitingTurns.load(transaction, events);
    const sessions = new Map(before);
    const cells = new Cells();
    for (const event of events) {
      const sessionId = event.session_id;
      const session = sessions.get(sessionId) ?? NEW_SESSION;
      const { session: next, counts, waits } = this.counted(session, event);
      sessions.set(sessionId, next);
      cells.add(next.state, event, counts);
      for (const wait of waits) waiting.begin(sessionId, wait, event.occurred_at);
      for (const { model, device, ms } of waiting.acknowledged(sessionId, next.state, event)) {
        const told = durationCounts('tether_wait_ms', ms);
        const waited = told.map(([counter, value]) => ({ model, device, counter, value }));
        cells.add(next.state, event, waited);
      }
    }
    const changed = [...sessions].filter(
      ([id, session]) => session.state !== (before.get(id) ?? NEW_SESSION).state,
    );
    if (changed.length > 0) await writeSessions(transaction, changed);
    await waiting.write(transaction);
    await cells.write(transaction);
  }

  /**
   * One that the fold throws at counts nothing, as one that cannot be read: a partition must not
   * stand still for it, and the read models hold its session [A12].
   */
  private counted(session: CountedSession, event: LogEvent): Counted {
    try {
      return this.count(session, event);
    } catch (error) {
      const place = `event ${event.id} of session ${event.session_id}`;
      this.logger.error(`${place} is not counted: ${String(error)}`);
      return { session, counts: [], waits: [] };
    }
  }
}

/** What a batch adds to the counters. */
class Cells {
  private readonly values = new Map<string, { readonly cell: Cell; value: number }>();

  add(state: SessionState, event: LogEvent, counts: readonly Count[]): void {
    if (state.phase !== 'open') return;
    const day = event.occurred_at.slice(0, 10);
    const principal = column(state.principal, 256);
    const agent = column(state.agentId, 256);
    for (const { model, device, counter, value } of counts) {
      const cell: Cell = [day, principal, agent, model, device, counter];
      const key = JSON.stringify(cell);
      const known = this.values.get(key);
      if (known === undefined) this.values.set(key, { cell, value });
      else known.value = isMaximum(counter) ? Math.max(known.value, value) : known.value + value;
    }
  }

  async write(transaction: EntityManager): Promise<void> {
    // In one order for all partitions, because they share rows.
    const sorted = [...this.values].sort(([a], [b]) => (a < b ? -1 : 1));
    const rows = sorted.map(([, { cell, value }]) => [...cell, value]);
    for (let from = 0; from < rows.length; from += ROWS) {
      await sql(transaction)`
        INSERT INTO usage_counters (day, principal, agent_id, model, device_type, counter, value)
        VALUES ${tuples(rows.slice(from, from + ROWS))}
        ON CONFLICT (day, principal, agent_id, model, device_type, counter) DO UPDATE
        SET value = CASE WHEN excluded.counter NOT LIKE ${MAX_PATTERN}
            THEN usage_counters.value + excluded.value
          WHEN excluded.value > usage_counters.value THEN excluded.value
          ELSE usage_counters.value END`;
    }
  }
}

function isMaximum(counter: string): boolean {
  return counter.startsWith('max.');
}

async function load(
  transaction: EntityManager,
  sessionIds: ReadonlySet<string>,
): Promise<ReadonlyMap<string, CountedSession>> {
  const { rows } = await sql(transaction)<{ id: string; state: string; turns: string }>`
    SELECT session_id AS id, state, turns FROM usage_sessions
    WHERE session_id IN (${[...sessionIds]})`;
  return new Map(
    rows.map(({ id, state, turns }) => [
      id,
      {
        state: JSON.parse(state) as SessionState,
        turns: JSON.parse(turns) as Readonly<Record<string, CountedTurn>>,
      },
    ]),
  );
}

async function writeSessions(
  transaction: EntityManager,
  sessions: readonly (readonly [string, CountedSession])[],
): Promise<void> {
  await sql(transaction)`
    INSERT INTO usage_sessions (session_id, state, turns)
    VALUES ${tuples(
      sessions.map(([id, { state, turns }]) => [id, JSON.stringify(state), JSON.stringify(turns)]),
    )}
    ON CONFLICT (session_id) DO UPDATE SET state = excluded.state, turns = excluded.turns`;
}
