import type { Change, ExportFate } from '#libs/domain';
import { settleExport } from '#libs/domain';
import type { LogEvent } from '#libs/protocol';
import { tuples } from '#libs/sql';
import type { EntityManager } from 'typeorm';
import type { ExportRow } from '../entities/export.entity.js';
import type { PromisedSessionRow } from '../entities/promised-session.entity.js';
import type { SessionOriginRow } from '../entities/session-origin.entity.js';
import { rows } from '../statement.js';
import type { Columns } from './turn-writes.js';

type RoamingChange = Extract<
  Change,
  { type: 'session-exported' | 'session-derived' | 'session-promised' | 'promise-kept' }
>;

/** By export. */
export type ExportFates = ReadonlyMap<string, ExportFate>;

const OPEN: ExportFate = { type: 'open' };

/** What a batch of events does to exports, to promises, and to where sessions come from. */
export class RoamingWrites {
  private readonly exported = new Map<string, Columns<ExportRow>>();
  /** Of the exports that the batch is about, as they were before, and then as they are. */
  private readonly fates: Map<string, ExportFate>;
  private readonly settled = new Set<string>();
  private readonly derived = new Map<string, Columns<SessionOriginRow>>();
  private readonly promised = new Map<string, Columns<PromisedSessionRow>>();

  /** @param known what has become of the exports that the batch is about, before it is folded */
  constructor(known: ExportFates) {
    this.fates = new Map(known);
  }

  /** Events that are about an export itself. */
  settle(event: LogEvent): void {
    if (event.type !== 'export.consumed' && event.type !== 'export.revoked') return;
    const { export_id: id } = event.data;
    const fate = this.fates.get(id);
    const settled = fate === undefined ? null : settleExport(fate, event);
    if (settled === null) return;
    this.fates.set(id, settled.fate);
    const row = this.exported.get(id);
    if (row === undefined) this.settled.add(id);
    else row.fate = JSON.stringify(settled.fate);
    for (const change of settled.changes) {
      if (change.type === 'session-promised') this.add(event.session_id, change, null);
    }
  }

  add(sessionId: string, change: RoamingChange, content: string | null): void {
    switch (change.type) {
      case 'session-exported': {
        const { data } = change;
        // A late copy of it must not forget what has become of it since.
        if (this.fates.has(data.export_id)) return;
        this.fates.set(data.export_id, OPEN);
        this.exported.set(data.export_id, {
          exportId: data.export_id,
          sessionId,
          content: content ?? '{}',
          createdAt: data.exported_at,
          expiresAt: data.expires_at,
          turnNumber: data.turn_number,
          messageCount: data.message_count,
          bundleCid: data.bundle_cid,
          fate: JSON.stringify(OPEN),
        });
        return;
      }
      case 'session-derived': {
        const { origin, steps, messages, at: createdAt } = change;
        const { type, session_id: sourceId } = origin;
        this.derived.set(sessionId, {
          ...{ sessionId, type, sourceId, origin: JSON.stringify(origin) },
          ...{ content: content ?? '{}', steps, messages, createdAt },
        });
        return;
      }
      case 'session-promised': {
        const { successor, source, data, maker, by: type, at: createdAt } = change;
        // Of several that say the same the first counts.
        if ((this.promised.get(successor)?.sourceId ?? null) !== null) return;
        this.promised.set(successor, {
          ...{ sessionId: successor, sourceId: source, type, maker: maker.incarnation },
          ...{ data: JSON.stringify(data), content: content ?? '{}', createdAt },
          kept: this.promised.get(successor)?.kept ?? 0,
        });
        return;
      }
      case 'promise-kept': {
        const known = this.promised.get(sessionId) ?? { ...NOT_PROMISED, sessionId };
        this.promised.set(sessionId, { ...known, kept: 1 });
      }
    }
  }

  async write(transaction: EntityManager): Promise<void> {
    if (this.exported.size > 0) await writeExports(transaction, [...this.exported.values()]);
    if (this.settled.size > 0) {
      const fates = [...this.settled].map((id) => [id, JSON.stringify(this.fates.get(id) ?? OPEN)]);
      await rows(transaction)`
        WITH settled (export_id, fate) AS (VALUES ${tuples(fates)})
        UPDATE exports SET fate = settled.fate FROM settled
        WHERE exports.export_id = settled.export_id`;
    }
    if (this.derived.size > 0) await writeOrigins(transaction, [...this.derived.values()]);
    if (this.promised.size > 0) await writePromises(transaction, [...this.promised.values()]);
  }
}

/** What has become of the exports that events are about. */
export async function loadFates(
  transaction: EntityManager,
  events: readonly LogEvent[],
): Promise<ExportFates> {
  const ids = events.flatMap((event) => {
    switch (event.type) {
      case 'session.exported':
      case 'export.consumed':
      case 'export.revoked':
        return [event.data.export_id];
      default:
        return [];
    }
  });
  if (ids.length === 0) return new Map();
  const found = await rows(transaction)<{ id: string; fate: string }>`
    SELECT export_id AS id, fate FROM exports WHERE export_id IN (${ids})`;
  return new Map(found.map(({ id, fate }) => [id, JSON.parse(fate) as ExportFate]));
}

const NOT_PROMISED = {
  ...{ sourceId: null, type: null, data: null, content: null, maker: null, createdAt: null },
};

async function writeExports(
  transaction: EntityManager,
  exports: readonly Columns<ExportRow>[],
): Promise<void> {
  await rows(transaction)`
    INSERT INTO exports (export_id, session_id, content, created_at, expires_at, turn_number,
      message_count, bundle_cid, fate)
    VALUES ${tuples(
      exports.map((row) => [
        ...[row.exportId, row.sessionId, row.content, row.createdAt, row.expiresAt],
        ...[row.turnNumber, row.messageCount, row.bundleCid, row.fate],
      ]),
    )}`;
}

async function writeOrigins(
  transaction: EntityManager,
  origins: readonly Columns<SessionOriginRow>[],
): Promise<void> {
  await rows(transaction)`
    INSERT INTO session_origins (session_id, type, source_id, origin, content, steps, messages,
      created_at)
    VALUES ${tuples(
      origins.map((row) => [
        ...[row.sessionId, row.type, row.sourceId, row.origin, row.content],
        ...[row.steps, row.messages, row.createdAt],
      ]),
    )}`;
}

/** The logs of two sessions write one row, so it is taken in one order by all projectors. */
async function writePromises(
  transaction: EntityManager,
  promises: readonly Columns<PromisedSessionRow>[],
): Promise<void> {
  const sorted = [...promises].sort((a, b) => (a.sessionId < b.sessionId ? -1 : 1));
  await rows(transaction)`
    INSERT INTO promised_sessions (session_id, source_id, type, data, content, maker, kept,
      created_at)
    VALUES ${tuples(
      sorted.map((row) => [
        ...[row.sessionId, row.sourceId, row.type, row.data, row.content],
        ...[row.maker, row.kept, row.createdAt],
      ]),
    )}
    ON CONFLICT (session_id) DO UPDATE SET
      source_id = COALESCE(promised_sessions.source_id, excluded.source_id),
      type = COALESCE(promised_sessions.type, excluded.type),
      data = COALESCE(promised_sessions.data, excluded.data),
      content = COALESCE(promised_sessions.content, excluded.content),
      maker = COALESCE(promised_sessions.maker, excluded.maker),
      created_at = COALESCE(promised_sessions.created_at, excluded.created_at),
      kept = CASE WHEN promised_sessions.kept = 1 THEN 1 ELSE excluded.kept END`;
}
