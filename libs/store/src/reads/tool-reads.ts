import type { OpenCall, ReturnedCall } from '#libs/domain';
import { roundMessages } from '#libs/domain';
import type {
  JsonObject,
  Message,
  PendingCall,
  ToolOutcome,
  ToolSchemas,
  Usage,
} from '#libs/protocol';
import type { Database } from '#libs/sql';
import { rows } from '../statement.js';

/** A round of a turn as folded. */
export interface StoredRound {
  readonly turnNumber: number;
  /** Position among the rounds of the turn, from 1. */
  readonly round: number;
  /** What the model said, with its calls. */
  readonly message: Message;
  readonly showsImages: boolean;
  readonly usage: Usage | null;
  readonly costUsd: number | null;
  readonly calledAt: string;
  /** Null while one of its calls is open. */
  readonly returnedAt: string | null;
  /** In the order of the calls. */
  readonly calls: readonly StoredCall[];
}

export interface StoredCall extends Omit<ReturnedCall, 'outcome'> {
  readonly callId: string;
  readonly toolInput: JsonObject;
  /** Null while it is open. */
  readonly outcome: ToolOutcome | null;
}

/** What is known of a call, but for what was called. */
export interface CallRecord extends Pick<StoredCall, 'outcome' | 'result' | 'error'> {
  /** Of the event by which a human decided about it; null where none did. */
  readonly decisionId: string | null;
}

/** A call that a surface is told of. */
export interface CallToTell {
  readonly callId: string;
  readonly toolName: string;
  readonly toolInput: JsonObject;
}

interface RoundRow {
  readonly turnNumber: number;
  readonly round: number;
  readonly content: string;
  readonly showsImages: number;
  readonly usage: string | null;
  readonly costUsd: number | null;
  readonly calledAt: string;
  readonly returnedAt: string | null;
}

interface CallRow {
  readonly turnNumber: number;
  readonly round: number;
  readonly callId: string;
  readonly outcome: ToolOutcome | null;
  readonly content: string | null;
}

interface RoundContent {
  readonly message: Message;
  readonly calls: readonly (MadeCallContent & { readonly refusal?: string })[];
}

interface MadeCallContent {
  readonly tool_name: string;
  readonly tool_input: JsonObject;
}

/** What is read of calls of tools. The caller has waited for freshness [A5]. */
export class ToolReads {
  constructor(private readonly database: Database) {}

  /** The rounds of these turns, in their order. */
  async rounds(sessionId: string, turnNumbers: readonly number[]): Promise<readonly StoredRound[]> {
    if (turnNumbers.length === 0) return [];
    const [found, calls] = await this.database.read(async (reader) => [
      await rows(reader)<RoundRow>`
        SELECT turn_number AS "turnNumber", round, content, shows_images AS "showsImages", usage,
          cost_usd AS "costUsd", called_at AS "calledAt", returned_at AS "returnedAt"
        FROM tool_rounds
        WHERE session_id = ${sessionId} AND turn_number IN (${[...turnNumbers]})
        ORDER BY turn_number, round`,
      await rows(reader)<CallRow>`
        SELECT turn_number AS "turnNumber", round, call_id AS "callId", outcome, content
        FROM tool_calls
        WHERE session_id = ${sessionId} AND turn_number IN (${[...turnNumbers]})
        ORDER BY turn_number, round, position`,
    ]);
    const byRound = Map.groupBy(calls, roundKey);
    return found.map((row) => storedRound(row, byRound.get(roundKey(row)) ?? []));
  }

  /** What a surface is told of calls that it is to make. */
  async toTell(sessionId: string, callIds: readonly string[]): Promise<readonly CallToTell[]> {
    if (callIds.length === 0) return [];
    const found = await this.database.read(
      (reader) => rows(reader)<{
        readonly callId: string;
        readonly position: number;
        readonly made: string | null;
        readonly content: string | null;
      }>`
        SELECT c.call_id AS "callId", c.position AS position, c.made AS made, r.content AS content
        FROM tool_calls c
        LEFT JOIN tool_rounds r ON r.session_id = c.session_id AND r.turn_number = c.turn_number
          AND r.round = c.round
        WHERE c.session_id = ${sessionId} AND c.call_id IN (${[...callIds]})
        ORDER BY c.turn_number, c.round, c.position`,
    );
    return found.map(({ callId, position, made, content }) => {
      const call =
        made === null
          ? (JSON.parse(content ?? '{"calls":[]}') as RoundContent).calls[position]
          : (JSON.parse(made) as MadeCallContent);
      return { callId, toolName: call?.tool_name ?? '', toolInput: call?.tool_input ?? {} };
    });
  }

  /** Open calls, as whoever asks for the turn is told of them. */
  async pending(sessionId: string, calls: readonly OpenCall[]): Promise<readonly PendingCall[]> {
    const open = new Map(calls.map((call) => [call.callId, call]));
    const told = await this.toTell(sessionId, [...open.keys()]);
    return told.flatMap(({ callId: call_id, toolName: tool_name, toolInput: tool_input }) => {
      const call = open.get(call_id);
      if (call === undefined) return [];
      const { deadline: expires_at, place } = call;
      const waits_for = place.type === 'surface' ? 'result' : place.type;
      return [{ call_id, tool_name, tool_input: { ...tool_input }, waits_for, expires_at }];
    });
  }

  /** What is known of a call; null where there is none. */
  async call(sessionId: string, callId: string): Promise<CallRecord | null> {
    const [row] = await this.database.read(
      (reader) => rows(reader)<
        Pick<CallRecord, 'decisionId' | 'outcome'> & { readonly content: string | null }
      >`
        SELECT decision_id AS "decisionId", outcome, content FROM tool_calls
        WHERE session_id = ${sessionId} AND call_id = ${callId}`,
    );
    return row === undefined ? null : { ...row, ...readCame(row.content) };
  }

  /** What an attached surface says of its tools. */
  async schemas(sessionId: string, attachId: string): Promise<ToolSchemas> {
    const [row] = await this.database.read(
      (reader) => rows(reader)<{ content: string }>`
        SELECT content FROM surface_tools
        WHERE session_id = ${sessionId} AND attach_id = ${attachId}`,
    );
    if (row === undefined) return {};
    return (JSON.parse(row.content) as { readonly tool_schemas: ToolSchemas }).tool_schemas;
  }
}

/** The messages that rounds have added to their conversation, each with its round. */
export function messagesOf(
  rounds: readonly StoredRound[],
): readonly { readonly message: Message; readonly round: StoredRound }[] {
  return rounds.flatMap((round) => {
    const calls = round.calls.map((call) => {
      // Nothing came of a call that its turn's end found open.
      return { ...call, outcome: call.outcome ?? ('cancelled' as const) };
    });
    return roundMessages({ ...round, calls }).map((message) => ({ message, round }));
  });
}

function roundKey({ turnNumber, round }: Pick<RoundRow, 'turnNumber' | 'round'>): string {
  return `${turnNumber} ${round}`;
}

function storedRound(row: RoundRow, calls: readonly CallRow[]): StoredRound {
  const { content, showsImages, usage, ...columns } = row;
  const { message, calls: made } = JSON.parse(content) as RoundContent;
  return {
    ...columns,
    message,
    showsImages: showsImages === 1,
    usage: usage === null ? null : (JSON.parse(usage) as Usage),
    calls: calls.map(({ callId, outcome, content: came }, at) => {
      const call = made[at];
      return {
        callId,
        toolName: call?.tool_name ?? '',
        toolInput: call?.tool_input ?? {},
        refusal: call?.refusal ?? null,
        outcome,
        ...readCame(came),
      };
    }),
  };
}

function readCame(text: string | null): Pick<CallRecord, 'result' | 'error'> {
  const content = JSON.parse(text ?? '{}') as CallContent;
  return { result: content.result ?? null, error: content.error ?? content.reason ?? null };
}

interface CallContent {
  readonly result?: unknown;
  readonly error?: string;
  /** Of a decision: why it was denied. */
  readonly reason?: string;
}
