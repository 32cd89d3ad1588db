import type { OpenSession, StoredTranscript, TurnOutcome } from '#libs/domain';
import type { Message, MessageAbout, TurnPlace } from '#libs/protocol';
import type { Database } from '#libs/sql';
import { raw } from '#libs/sql';
import { integer, rows } from '../statement.js';
import { CachedTranscripts } from './cached-transcripts.js';
import type { Piece } from './conversation-pieces.js';
import { ConversationPieces, groupsOf, turnsOf } from './conversation-pieces.js';
import { StoredTurn, emptyTranscript } from './transcript.js';
import type { Transcript } from './transcript.js';
import { ToolReads, messagesOf } from './tool-reads.js';
import type { StoredRound } from './tool-reads.js';
import { readEnd, readRequest } from './turn-content.js';

/** A message of a transcript, with the turn that brought it. */
export interface TranscriptEntry {
  /** Its place, from 0. */
  readonly index: number;
  readonly message: Message;
  readonly turnId: string;
  readonly modelUsed: string | null;
  readonly costUsd: number | null;
  readonly createdAt: string;
  /** It only tells where the conversation comes from. */
  readonly isNote?: true;
}

/** Where a session's conversation stands as it was after one of its turns. */
export interface ConversationAsOf {
  /** Oldest first. */
  readonly pieces: readonly Piece[];
  readonly system: readonly Message[];
  /** Turns that had completed. */
  readonly steps: number;
  /** What they had cost together; null if that is not known of one. */
  readonly totalCostUsd: number | null;
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
  readonly number: number;
  readonly rounds: number;
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
  readonly status: string;
  readonly turnId: string;
  readonly modelUsed: string | null;
  readonly costUsd: number | null;
  readonly startedAt: string;
  readonly endedAt: string | null;
}

/** What was known after a turn. */
interface AfterRow {
  readonly steps: number | null;
  readonly sessionCostUsd: number | null;
  readonly systemTurn: number;
}

/** What is read of a conversation at once: so much of it is in memory. */
const GROUP = { bytes: 2 * 1024 * 1024, pieces: 200 };

/**
 * Reads of conversations. The visible turns of a session are its transcript, behind what it goes on
 * from in another session [A16]; so a page costs what it holds, and a turn costs what is new since
 * this process has last read the session: ended turns do not change, and are kept [A11]. The caller
 * has waited for freshness [A5].
 */
export class Transcripts {
  private readonly cache: CachedTranscripts;
  private readonly tools: ToolReads;
  private readonly pieces: ConversationPieces;

  /** @param cacheBytes the most that is kept of conversations, as JSON */
  constructor(
    private readonly database: Database,
    cacheBytes?: number,
  ) {
    this.cache = new CachedTranscripts(cacheBytes);
    this.tools = new ToolReads(database);
    this.pieces = new ConversationPieces(database);
  }

  /** The conversation as `session` knows it, while no other process may change it. */
  async load(sessionId: string, session: OpenSession): Promise<Transcript> {
    const transcript = await this.loadUnlessChanged(sessionId, session);
    if (transcript !== null) return transcript;
    throw new Error(`the transcript of session ${sessionId} changed while it was read`);
  }

  /** As `load`; null where the session has changed since `session` was read. */
  async loadUnlessChanged(sessionId: string, session: OpenSession): Promise<Transcript | null> {
    if (session.turns === 0 && session.base === null) return emptyTranscript;
    const kept = this.cache.get(sessionId);
    // An open turn's messages may still be followed by its answer: it is read anew until it ends.
    const known = kept !== null && kept.turns <= session.turns ? kept : null;
    const extended = known === null ? null : await this.extended(known, sessionId, session);
    const transcript = extended ?? (await this.whole(sessionId, session));
    if (transcript?.count !== session.messages) return null;
    if (session.turn === null) this.cache.set(sessionId, transcript);
    return transcript;
  }

  /** The system messages in force. */
  async system(sessionId: string, session: OpenSession): Promise<readonly Message[]> {
    const { systemTurn, base } = session;
    if (systemTurn !== 0) return this.systemOf({ session_id: sessionId, turn_number: systemTurn });
    return base?.system == null ? [] : this.systemOf(base.system);
  }

  /** What the model is told of where the conversation comes from. */
  async notes({ notes }: OpenSession): Promise<readonly Message[]> {
    const found = await Promise.all(notes.map((place) => this.requestOf(place)));
    return found.flatMap((request) => (request === null ? [] : readRequest(request).messages));
  }

  /** Messages from the place `from` on, at most `limit`. */
  async page(
    sessionId: string,
    { base, baseEnd }: Pick<OpenSession, 'base' | 'baseEnd'>,
    from: number,
    limit: number,
  ): Promise<readonly TranscriptEntry[]> {
    const before =
      base === null || from >= baseEnd
        ? []
        : await this.pageOfPieces(
            await this.pieces.keptOf(base.session_id, base.turn_number, baseEnd),
            from,
            limit,
          );
    const left = limit - before.length;
    if (left <= 0) return before;
    const found = await this.database.read(
      (reader) => rows(reader)<EntryRow>`
        SELECT ${raw(ENTRY_COLUMNS)} FROM turns
        WHERE session_id = ${sessionId} AND visible_end > first_index AND visible_end > ${from}
        ORDER BY visible_end LIMIT ${raw(integer(left))}`,
    );
    const rounds = await this.roundsOf(sessionId, found);
    const own = found
      .flatMap((row) => entriesOf(row, rounds.get(row.number), row.visibleEnd))
      .filter(({ index }) => index >= from);
    return [...before, ...own].slice(0, limit);
  }

  /** The conversation as it was after a turn, whatever was cut since; before any for turn 0. */
  async asOf(sessionId: string, turnNumber: number): Promise<TranscriptAsOf> {
    const { pieces, ...about } = await this.conversationAsOf(sessionId, turnNumber);
    const entries: TranscriptEntry[] = [];
    for await (const group of this.entries(pieces)) entries.push(...group);
    return { ...about, entries };
  }

  /** As `asOf`, without what was said: `entries` reads it piece by piece. */
  async conversationAsOf(sessionId: string, turnNumber: number): Promise<ConversationAsOf> {
    const [after] = await this.database.read(
      (reader) => rows(reader)<AfterRow>`
        SELECT steps, session_cost_usd AS "sessionCostUsd", system_turn AS "systemTurn"
        FROM turns WHERE session_id = ${sessionId} AND number <= ${turnNumber} AND number > 0
          AND epoch > 0
        ORDER BY number DESC LIMIT 1`,
    );
    const base = await this.pieces.baseOf(sessionId);
    const own = { session_id: sessionId, turn_number: after?.systemTurn ?? 0 };
    const system = own.turn_number === 0 ? (base?.system ?? null) : own;
    return {
      pieces: await this.pieces.of(sessionId, turnNumber, Number.MAX_SAFE_INTEGER),
      system: system === null ? [] : await this.systemOf(system),
      steps: after === undefined ? (base?.step_count ?? 0) : (after.steps ?? 0),
      totalCostUsd:
        after === undefined ? (base === null ? 0 : base.cost_usd) : after.sessionCostUsd,
    };
  }

  /** The completed turns of what the session was made from; 0 of one that was made from nothing. */
  async baseSteps(sessionId: string): Promise<number> {
    return (await this.pieces.baseOf(sessionId))?.step_count ?? 0;
  }

  /** The pieces of a place in a conversation, up to so many messages. */
  piecesUpTo(sessionId: string, turnNumber: number, messages: number): Promise<readonly Piece[]> {
    return this.pieces.of(sessionId, turnNumber, messages);
  }

  /** The messages of pieces, in groups of bounded size. */
  async *entries(pieces: readonly Piece[]): AsyncGenerator<readonly TranscriptEntry[]> {
    for (const group of groupsOf(pieces, GROUP)) yield await this.entriesOfGroup(group);
  }

  private async pageOfPieces(
    pieces: readonly Piece[],
    from: number,
    limit: number,
  ): Promise<readonly TranscriptEntry[]> {
    const wanted = pieces.filter(({ firstIndex, end }) => end > from && firstIndex < from + limit);
    const found: TranscriptEntry[] = [];
    for await (const group of this.entries(wanted)) found.push(...group);
    return found.filter(({ index }) => index >= from).slice(0, limit);
  }

  private async entriesOfGroup(pieces: readonly Piece[]): Promise<readonly TranscriptEntry[]> {
    const found = await this.database.read(
      (reader) => rows(reader)<EntryRow>`
        SELECT ${raw(ENTRY_COLUMNS)} FROM turns WHERE ${turnsOf(pieces)} ORDER BY number`,
    );
    const rounds = await this.roundsOf(pieces[0]?.sessionId ?? '', found);
    const ends = new Map(pieces.map(({ number, end }) => [number, end]));
    return found.flatMap((row) => {
      return entriesOf(row, rounds.get(row.number), ends.get(row.number) ?? row.firstIndex);
    });
  }

  private async extended(
    known: Transcript,
    sessionId: string,
    { turns, messages }: OpenSession,
  ): Promise<Transcript | null> {
    const found = known.turns === turns ? [] : await this.storedTurns(sessionId, known.turns);
    const extended = known.extended(found, turns);
    return extended?.count === messages ? extended : null;
  }

  private async whole(sessionId: string, session: OpenSession): Promise<Transcript | null> {
    const { base, baseEnd, turns } = session;
    const before = base === null ? [] : await this.baseTurns(base, baseEnd);
    return emptyTranscript.extended([...before, ...(await this.storedTurns(sessionId, 0))], turns);
  }

  /** What a session goes on from in others. */
  private async baseTurns(
    { session_id: sessionId, turn_number: turn }: NonNullable<OpenSession['base']>,
    end: number,
  ): Promise<readonly StoredTurn[]> {
    const turns: StoredTurn[] = [];
    for (const group of groupsOf(await this.pieces.keptOf(sessionId, turn, end), GROUP)) {
      const ends = new Map(group.map((piece) => [piece.number, piece.end]));
      const found = await this.database.read(
        (reader) => rows(reader)<VisibleRow>`
          SELECT ${raw(VISIBLE_COLUMNS)} FROM turns WHERE ${turnsOf(group)} ORDER BY number`,
      );
      const rounds = await this.roundsOf(group[0]?.sessionId ?? '', found);
      for (const row of found) {
        const visibleEnd = ends.get(row.number) ?? row.firstIndex;
        turns.push(storedTurn({ ...row, visibleEnd }, rounds.get(row.number)));
      }
    }
    return turns;
  }

  private async storedTurns(sessionId: string, after: number): Promise<readonly StoredTurn[]> {
    const found = await this.database.read(
      (reader) => rows(reader)<VisibleRow>`
        SELECT ${raw(VISIBLE_COLUMNS)} FROM turns
        WHERE session_id = ${sessionId} AND number > ${after} AND visible_end > first_index
        ORDER BY number`,
    );
    const rounds = await this.roundsOf(sessionId, found);
    return found.map((row) => storedTurn(row, rounds.get(row.number)));
  }

  /** The rounds of those turns that had any, by the turns' numbers. */
  private async roundsOf(
    sessionId: string,
    turns: readonly Pick<StoredRow, 'number' | 'rounds'>[],
  ): Promise<ReadonlyMap<number, readonly StoredRound[]>> {
    const numbers = turns.flatMap(({ number, rounds }) => (rounds === 0 ? [] : [number]));
    const rounds = await this.tools.rounds(sessionId, numbers);
    return Map.groupBy(rounds, ({ turnNumber }) => turnNumber);
  }

  private async systemOf(place: TurnPlace): Promise<readonly Message[]> {
    const request = await this.requestOf(place);
    return request === null ? [] : (readRequest(request).system ?? []);
  }

  private async requestOf(place: TurnPlace): Promise<string | null> {
    const [row] = await this.database.read(
      (reader) => rows(reader)<{ request: string }>`
        SELECT request FROM turns
        WHERE session_id = ${place.session_id} AND number = ${place.turn_number}`,
    );
    return row?.request ?? null;
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

const VISIBLE_COLUMNS = `number, rounds, first_index AS "firstIndex",
  visible_end AS "visibleEnd", request, output, status, refused`;

const ENTRY_COLUMNS = `number, status, rounds, turn_id AS "turnId", first_index AS "firstIndex",
  visible_end AS "visibleEnd", request, output, model_used AS "modelUsed",
  cost_usd AS "costUsd", started_at AS "startedAt", ended_at AS "endedAt"`;

function storedTurn(row: VisibleRow, rounds: readonly StoredRound[] = []): StoredTurn {
  const { firstIndex, visibleEnd, request, output, status, refused } = row;
  const asked = readRequest(request).messages;
  const { messages: answers, said, alternatives } = readEnd(output);
  // Rounds without an answer behind them are no part of the conversation.
  const earlier = answers.length === 0 ? [] : messagesOf(rounds).map(({ message }) => message);
  const messages = [...asked, ...earlier, ...answers];
  const visible = messages.slice(0, visibleEnd - firstIndex);
  const isWhole = visible.length === messages.length;
  return StoredTurn.of(
    firstIndex,
    outcomeOf(status, refused === 1),
    visible,
    // They could have been the last message: where that is cut they are nothing any more.
    isWhole ? alternatives : [],
    isWhole && earlier.length > 0 ? { from: asked.length, count: earlier.length, said } : null,
  );
}

/** A note is told to the model before everything else, so it is not sent where it stands. */
function outcomeOf(status: string, isRefused: boolean): TurnOutcome {
  if (isRefused || status === 'note') return 'refused';
  return status === 'completed' || status === 'restored' ? 'answered' : 'unanswered';
}

function entriesOf(
  row: EntryRow,
  rounds: readonly StoredRound[] | undefined,
  end: number,
): readonly TranscriptEntry[] {
  const { turnId, modelUsed, startedAt, endedAt, firstIndex } = row;
  const note = row.status === 'note' ? ({ isNote: true } as const) : {};
  const { messages, about } = readRequest(row.request);
  const asked = messages.map((message, at) => {
    const copied = about?.[at];
    const known = { modelUsed: null, costUsd: null, createdAt: startedAt };
    return { message, turnId, ...note, ...(copied === undefined ? known : aboutOf(copied)) };
  });
  const output = readEnd(row.output).messages;
  const earlier = output.length === 0 ? [] : messagesOf(rounds ?? []);
  const called = earlier.map(({ message, round }) => {
    const isModel = message.role === 'assistant';
    const createdAt = isModel ? round.calledAt : (round.returnedAt ?? round.calledAt);
    const used = isModel ? modelUsed : null;
    return { message, turnId, modelUsed: used, costUsd: null, createdAt };
  });
  const answered = output.map((message, index) => {
    // The cost is the turn's: it stands once, at its last message.
    const costUsd = index === output.length - 1 ? row.costUsd : null;
    return { message, turnId, modelUsed, costUsd, createdAt: endedAt ?? startedAt };
  });
  return [...asked, ...called, ...answered]
    .slice(0, end - firstIndex)
    .map((entry, at) => ({ ...entry, index: firstIndex + at }));
}

function aboutOf({
  model_used: modelUsed,
  cost_usd: costUsd,
  created_at: createdAt,
}: MessageAbout) {
  return { modelUsed, costUsd, createdAt };
}
