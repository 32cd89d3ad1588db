import type { EntityManager } from 'typeorm';
import type { SessionState } from '#libs/domain';
import type { LogEvent } from '#libs/protocol';
import { sql, tuples } from '#libs/sql';
import type { WaitingTurn } from './count-event.js';
import type { TurnKeys } from './counted-session.js';

const ROWS = 1_000;

/** A turn that has waited. */
interface Waited extends TurnKeys {
  readonly ms: number;
}

interface Waiting extends WaitingTurn {
  readonly since: number;
}

/** The turns that wait in the Tether, as far as a batch concerns them. */
export class WaitingTurns {
  /** By session, those that a batch can acknowledge, or that began in it. */
  private readonly known = new Map<string, Waiting[]>();
  private readonly begun = new Map<string, Waiting & { readonly sessionId: string }>();
  /** By session, up to which `seq` all were acknowledged. */
  private readonly cursors = new Map<string, number>();

  private constructor() {
    // Made by `load` only.
  }

  static async load(
    transaction: EntityManager,
    events: readonly LogEvent[],
  ): Promise<WaitingTurns> {
    const waiting = new WaitingTurns();
    const asked = new Map<string, number>();
    for (const event of events) {
      if (event.type !== 'surface.acknowledged') continue;
      asked.set(event.session_id, Math.max(event.data.seq, asked.get(event.session_id) ?? 0));
    }
    if (asked.size === 0) return waiting;
    const { rows } = await sql(transaction)<Waiting & { sessionId: string }>`
      WITH asked (session_id, seq) AS (VALUES ${tuples([...asked])})
      SELECT usage_waiting.session_id AS "sessionId", usage_waiting.seq, model,
        device_type AS device, waiting_since AS since
      FROM asked JOIN usage_waiting ON usage_waiting.session_id = asked.session_id
        AND usage_waiting.seq <= CAST(asked.seq AS integer)
      ORDER BY usage_waiting.session_id, usage_waiting.seq`;
    for (const { sessionId, ...turn } of rows) waiting.of(sessionId).push(turn);
    return waiting;
  }

  begin(sessionId: string, turn: WaitingTurn, at: string): void {
    const waiting = { ...turn, since: Date.parse(at) };
    this.of(sessionId).push(waiting);
    this.begun.set(`${sessionId} ${turn.seq}`, { ...waiting, sessionId });
  }

  /** The turns that an event has acknowledged, by what it made of the session. */
  acknowledged(sessionId: string, state: SessionState, event: LogEvent): readonly Waited[] {
    if (event.type !== 'surface.acknowledged' || state.phase !== 'open') return [];
    const known = this.of(sessionId);
    const read = known.filter(({ seq }) => seq <= state.cursor);
    if (read.length === 0) return [];
    this.known.set(
      sessionId,
      known.filter((turn) => !read.includes(turn)),
    );
    for (const { seq } of read) this.begun.delete(`${sessionId} ${seq}`);
    this.cursors.set(sessionId, state.cursor);
    const now = Date.parse(event.occurred_at);
    return read.map(({ model, device, since }) => ({ model, device, ms: now - since }));
  }

  async write(transaction: EntityManager): Promise<void> {
    if (this.cursors.size > 0) {
      await sql(transaction)`
        WITH read (session_id, seq) AS (VALUES ${tuples([...this.cursors])})
        DELETE FROM usage_waiting WHERE (session_id, seq) IN (
          SELECT usage_waiting.session_id, usage_waiting.seq
          FROM read JOIN usage_waiting ON usage_waiting.session_id = read.session_id
            AND usage_waiting.seq <= CAST(read.seq AS integer))`;
    }
    const begun = [...this.begun.values()];
    for (let from = 0; from < begun.length; from += ROWS) {
      const rows = begun.slice(from, from + ROWS);
      await sql(transaction)`
        INSERT INTO usage_waiting (session_id, seq, model, device_type, waiting_since)
        VALUES ${tuples(rows.map((row) => [row.sessionId, row.seq, row.model, row.device, row.since]))}`;
    }
  }

  private of(sessionId: string): Waiting[] {
    const known = this.known.get(sessionId);
    if (known !== undefined) return known;
    const made: Waiting[] = [];
    this.known.set(sessionId, made);
    return made;
  }
}
