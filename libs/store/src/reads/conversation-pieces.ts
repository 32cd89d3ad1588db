import type { OpenSession } from '#libs/domain';
import { initialState } from '#libs/domain';
import type { Database } from '#libs/sql';
import { part, raw } from '#libs/sql';
import { lastState } from '../quarantine/stored-state.js';
import { integer, rows } from '../statement.js';

/** The part of a conversation that one row of one session has brought. */
export interface Piece {
  readonly sessionId: string;
  /** Of the turn, in that session. */
  readonly number: number;
  /** The place of its first message in the conversation, from 0. */
  readonly firstIndex: number;
  /** The place behind its last one that counts. */
  readonly end: number;
  /** Bytes of what is stored of the turn. */
  readonly bytes: number;
}

interface PieceRow {
  readonly number: number;
  readonly firstIndex: number;
  readonly endIndex: number;
  readonly bytes: number;
}

/** Turns in one read of a history that is walked backwards. */
const WALK = 500;
/** Pieces that are kept of conversations that other sessions go on from. */
const MOST_KEPT = 200_000;

/**
 * Of what a conversation was made after one of its turns, whatever was cut since: the session's own
 * turns, and before them what it goes on from in others. It does not change any more, so it is kept
 * for those that go on from there.
 */
export class ConversationPieces {
  private readonly kept = new Map<string, readonly Piece[]>();
  private count = 0;

  constructor(private readonly database: Database) {}

  /** Oldest first; `end`: only messages before it count. */
  async of(sessionId: string, turnNumber: number, end: number): Promise<readonly Piece[]> {
    const backwards: Piece[] = [];
    let before = turnNumber + 1;
    let limit = end;
    // Each turn stands before what a later one kept: walking back, only what lies before counts.
    while (before > 1 && limit > 0) {
      const found = await this.walk(sessionId, before);
      for (const { number, firstIndex, endIndex, bytes } of found) {
        if (firstIndex >= limit) continue;
        if (endIndex > firstIndex) {
          backwards.push({ sessionId, number, firstIndex, end: Math.min(endIndex, limit), bytes });
        }
        limit = firstIndex;
      }
      before = found.length < WALK ? 1 : (found.at(-1)?.number ?? 1);
    }
    const own = backwards.reverse();
    const base = limit > 0 ? await this.baseOf(sessionId) : null;
    if (base === null) return own;
    const most = Math.min(limit, base.message_count);
    return [...(await this.keptOf(base.session_id, base.turn_number, most)), ...own];
  }

  /** As `of`; read once for all that go on from there. */
  async keptOf(sessionId: string, turnNumber: number, end: number): Promise<readonly Piece[]> {
    const key = `${sessionId} ${turnNumber}`;
    const kept = this.kept.get(key);
    const all = kept ?? (await this.of(sessionId, turnNumber, Number.MAX_SAFE_INTEGER));
    if (kept === undefined) this.keep(key, all);
    const last = all.at(-1);
    if (last === undefined || last.end <= end) return all;
    return all
      .filter(({ firstIndex }) => firstIndex < end)
      .map((piece) => ({ ...piece, end: Math.min(piece.end, end) }));
  }

  private keep(key: string, pieces: readonly Piece[]): void {
    for (const [oldest, { length }] of this.kept) {
      if (this.count + pieces.length <= MOST_KEPT) break;
      this.kept.delete(oldest);
      this.count -= length;
    }
    if (this.kept.has(key) || this.count + pieces.length > MOST_KEPT) return;
    this.kept.set(key, pieces);
    this.count += pieces.length;
  }

  /** Where the session goes on from another one; null where it begins itself. */
  async baseOf(sessionId: string): Promise<OpenSession['base']> {
    const [row] = await this.database.read(
      (reader) => rows(reader)<{ state: string }>`
        SELECT state FROM sessions WHERE session_id = ${sessionId}`,
    );
    const state = row === undefined ? initialState : lastState(row.state);
    return state.phase === 'open' ? (state.base ?? null) : null;
  }

  private walk(sessionId: string, before: number): Promise<readonly PieceRow[]> {
    return this.database.read(
      (reader) => rows(reader)<PieceRow>`
        SELECT number, first_index AS "firstIndex", end_index AS "endIndex",
          octet_length(request) + COALESCE(octet_length(output), 0) AS bytes
        FROM turns WHERE session_id = ${sessionId} AND number < ${before} AND number > 0
          AND epoch > 0
        ORDER BY number DESC LIMIT ${raw(integer(WALK))}`,
    );
  }
}

/** Pieces of one session that are read together, so that memory does not grow with them. */
export function* groupsOf(
  pieces: readonly Piece[],
  most: { readonly bytes: number; readonly pieces: number },
): Generator<readonly Piece[]> {
  let group: Piece[] = [];
  let bytes = 0;
  for (const piece of pieces) {
    const isFull = group.length >= most.pieces || bytes + piece.bytes > most.bytes;
    if (group.length > 0 && (isFull || group[0]?.sessionId !== piece.sessionId)) {
      yield group;
      group = [];
      bytes = 0;
    }
    group.push(piece);
    bytes += piece.bytes;
  }
  if (group.length > 0) yield group;
}

/** The turns of pieces of one session, for a statement. */
export function turnsOf(pieces: readonly Piece[]) {
  const [first] = pieces;
  const numbers = pieces.map(({ number }) => number);
  return part`session_id = ${first?.sessionId ?? ''} AND number IN (${numbers})`;
}
