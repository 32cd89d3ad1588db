import type { OpenSession, StoredTranscript } from '#libs/domain';
import type { Message } from '#libs/protocol';
import type { Database } from '#libs/sql';
import { raw } from '#libs/sql';
import { integer, rows } from '../statement.js';
import { CachedTranscripts } from './cached-transcripts.js';
import { StoredTurn, emptyTranscript } from './transcript.js';
import type { Transcript } from './transcript.js';
import { readAlternatives, readOutput, readRequest } from './turn-content.js';

/** A message of a transcript, with the turn that brought it. */
export interface TranscriptEntry {
  /** Its place, from 0. */
  readonly index: number;
  readonly message: Message;
  readonly turnId: string;
  readonly modelUsed: string | null;
  readonly costUsd: number | null;
  readonly createdAt: string;
}

/** A session's conversation as it was after one of its turns. */
export interface TranscriptAsOf {
  readonly system: readonly Message[];
  readonly entries: readonly TranscriptEntry[];
  /** Turns that had completed. */
  readonly steps: number;
  /** What they had cost together; null if that is not known of one. */
  readonly totalCostUsd: number | null;
}

interface StoredRow {
  readonly firstIndex: number;
  readonly visibleEnd: number;
  readonly request: string;
  readonly output: string | null;
}

interface VisibleRow extends StoredRow {
  readonly status: string;
  readonly refused: number;
}

interface EntryRow extends StoredRow {
  readonly turnId: string;
  readonly modelUsed: string | null;
  readonly costUsd: number | null;
  readonly startedAt: string;
  readonly endedAt: string | null;
}

interface AsOfRow extends EntryRow {
  readonly number: number;
  readonly endIndex: number;
  readonly steps: number | null;
  readonly sessionCostUsd: number | null;
  readonly systemTurn: number;
}

/** Turns in one read of a history that is walked backwards. */
const WALK = 200;

/**
 * Reads of conversations. The visible turns of a session are its transcript, so a page costs what
 * it holds, and a turn costs what is new since this process has last read the session: ended turns
 * do not change, and are kept [A11]. The caller has waited for freshness [A5].
 */
export class Transcripts {
  private readonly cache: CachedTranscripts;

  /** @param cacheBytes the most that is kept of conversations, as JSON */
  constructor(
    private readonly database: Database,
    cacheBytes?: number,
  ) {
    this.cache = new CachedTranscripts(cacheBytes);
  }

  /** The conversation as `session` knows it, while no other process may change it. */
  async load(sessionId: string, session: OpenSession): Promise<Transcript> {
    const transcript = await this.loadUnlessChanged(sessionId, session);
    if (transcript !== null) return transcript;
    throw new Error(`the transcript of session ${sessionId} changed while it was read`);
  }

  /** As `load`; null where the session has changed since `session` was read. */
  async loadUnlessChanged(sessionId: string, session: OpenSession): Promise<Transcript | null> {
    if (session.turns === 0) return emptyTranscript;
    const kept = this.cache.get(sessionId);
    // An open turn's messages may still be followed by its answer: it is read anew until it ends.
    const known = kept !== null && kept.turns <= session.turns ? kept : emptyTranscript;
    const found = known.turns === session.turns ? [] : await this.visible(sessionId, known.turns);
    const extended = known.extended(found.map(storedTurn), session.turns);
    const transcript =
      extended?.count === session.messages
        ? extended
        : emptyTranscript.extended(
            (await this.visible(sessionId, 0)).map(storedTurn),
            session.turns,
          );
    if (transcript?.count !== session.messages) return null;
    if (session.turn === null) this.cache.set(sessionId, transcript);
    return transcript;
  }

  /** The system messages in force. */
  async system(sessionId: string, { systemTurn }: OpenSession): Promise<readonly Message[]> {
    return systemTurn === 0 ? [] : this.systemOf(sessionId, systemTurn);
  }

  /** Messages from the place `from` on, at most `limit`. */
  async page(sessionId: string, from: number, limit: number): Promise<readonly TranscriptEntry[]> {
    const found = await this.database.read(
      (reader) => rows(reader)<EntryRow>`
        SELECT ${raw(ENTRY_COLUMNS)} FROM turns
        WHERE session_id = ${sessionId} AND visible_end > first_index AND visible_end > ${from}
        ORDER BY visible_end LIMIT ${raw(integer(limit))}`,
    );
    return found
      .flatMap((row) => entriesOf(row, row.visibleEnd))
      .filter(({ index }) => index >= from)
      .slice(0, limit);
  }

  /** The conversation as it was after a turn, whatever was cut since; before any for turn 0. */
  async asOf(sessionId: string, turnNumber: number): Promise<TranscriptAsOf> {
    if (turnNumber === 0) return { system: [], entries: [], steps: 0, totalCostUsd: 0 };
    const pieces: (readonly TranscriptEntry[])[] = [];
    let last: AsOfRow | null = null;
    let end = Number.MAX_SAFE_INTEGER;
    // Each turn stands before what a later one kept: walking back, only what lies before counts.
    for (let before = turnNumber + 1; before > 1 && end > 0;) {
      const found = await this.walk(sessionId, before);
      for (const row of found) {
        last ??= row;
        if (row.firstIndex < end) {
          pieces.push(entriesOf(row, Math.min(row.endIndex, end)));
          end = row.firstIndex;
        }
      }
      before = found.at(-1)?.number ?? 0;
    }
    return {
      system:
        last === null || last.systemTurn === 0
          ? []
          : await this.systemOf(sessionId, last.systemTurn),
      entries: pieces.reverse().flat(),
      steps: last?.steps ?? 0,
      totalCostUsd: last === null ? 0 : last.sessionCostUsd,
    };
  }

  private visible(sessionId: string, after: number): Promise<readonly VisibleRow[]> {
    return this.database.read(
      (reader) => rows(reader)<VisibleRow>`
        SELECT first_index AS "firstIndex", visible_end AS "visibleEnd", request, output, status,
          refused FROM turns
        WHERE session_id = ${sessionId} AND number > ${after} AND visible_end > first_index
        ORDER BY number`,
    );
  }

  private walk(sessionId: string, before: number): Promise<readonly AsOfRow[]> {
    return this.database.read(
      (reader) => rows(reader)<AsOfRow>`
        SELECT ${raw(ENTRY_COLUMNS)}, number, end_index AS "endIndex", steps,
          session_cost_usd AS "sessionCostUsd", system_turn AS "systemTurn"
        FROM turns WHERE session_id = ${sessionId} AND number < ${before} AND epoch > 0
        ORDER BY number DESC LIMIT ${raw(integer(WALK))}`,
    );
  }

  private async systemOf(sessionId: string, turnNumber: number): Promise<readonly Message[]> {
    const [row] = await this.database.read(
      (reader) => rows(reader)<{ request: string }>`
        SELECT request FROM turns WHERE session_id = ${sessionId} AND number = ${turnNumber}`,
    );
    return row === undefined ? [] : (readRequest(row.request).system ?? []);
  }
}

/** What deciding what is new needs of a conversation. */
export function storedTranscript(
  transcript: Transcript,
  system: readonly Message[],
): StoredTranscript {
  return {
    system,
    count: transcript.count,
    bytesOf: (keeps) => transcript.bytesOf(keeps),
    turns: transcript.parts,
  };
}

const ENTRY_COLUMNS = `turn_id AS "turnId", first_index AS "firstIndex",
  visible_end AS "visibleEnd", request, output, model_used AS "modelUsed",
  cost_usd AS "costUsd", started_at AS "startedAt", ended_at AS "endedAt"`;

function storedTurn(row: VisibleRow): StoredTurn {
  const { firstIndex, visibleEnd, request, output, status, refused } = row;
  const messages = [...readRequest(request).messages, ...readOutput(output)];
  const answered = status === 'completed' ? 'answered' : 'unanswered';
  const visible = messages.slice(0, visibleEnd - firstIndex);
  return StoredTurn.of(
    firstIndex,
    refused === 1 ? 'refused' : answered,
    visible,
    // They could have been the last message: where that is cut they are nothing any more.
    visible.length === messages.length ? readAlternatives(output) : [],
  );
}

function entriesOf(row: EntryRow, end: number): readonly TranscriptEntry[] {
  const { turnId, modelUsed, startedAt, endedAt, firstIndex } = row;
  const asked = readRequest(row.request).messages.map((message) => {
    return { message, turnId, modelUsed: null, costUsd: null, createdAt: startedAt };
  });
  const output = readOutput(row.output);
  const answered = output.map((message, index) => {
    // The cost is the turn's: it stands once, at its last message.
    const costUsd = index === output.length - 1 ? row.costUsd : null;
    return { message, turnId, modelUsed, costUsd, createdAt: endedAt ?? startedAt };
  });
  return [...asked, ...answered]
    .slice(0, end - firstIndex)
    .map((entry, at) => ({ ...entry, index: firstIndex + at }));
}
