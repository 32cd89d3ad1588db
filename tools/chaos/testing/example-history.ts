import type { ServerFrame } from '#libs/protocol';
import type {
  Call,
  Connection,
  ConnectionEvent,
  ConversationHistory,
  FoundMessage,
  Rule,
  Violation,
} from '../history.js';
import { checkHistory } from '../history-checker.js';

type FrameOf<T extends ServerFrame['type']> = Extract<ServerFrame, { type: T }>;

export const SESSION = 'session-1';

function answered(name: string, begunAt: number, stepCount: number): Call {
  const outcome = {
    type: 'answered',
    sessionId: SESSION,
    callsWait: false,
    turnId: `turn-${name}`,
    text: `text ${name}`,
    stepCount,
  } as const;
  return callOf(name, begunAt, outcome);
}

export function unanswered(
  name: string,
  begunAt: number,
  type: 'broken' | 'vanished' | 'unreached' | 'forgotten',
): Call {
  if (type === 'broken') return callOf(name, begunAt, { type, told: null, begun: true });
  return callOf(name, begunAt, { type });
}

function callOf(name: string, begunAt: number, outcome: Call['outcome']): Call {
  const about = { reading: 'eagerly', manner: 'plain', toolCalls: 0 } as const;
  return { marker: `m-${name}`, begunAt, endedAt: begunAt + 50, ...about, outcome };
}

export function turn(
  name: string,
  createdAt: number,
  text: string | null = `text ${name}`,
): FoundMessage[] {
  const asked = {
    turnId: `turn-${name}`,
    role: 'user',
    text: `m-${name}\ndemo: vary`,
    createdAt: createdAt - 40,
  };
  return text === null
    ? [asked]
    : [asked, { turnId: `turn-${name}`, role: 'assistant', text, createdAt }];
}

export function attached(queued: number): ServerFrame {
  return {
    type: 'SESSION_ATTACHED',
    session_id: SESSION,
    surface_id: null,
    device_type: 'test',
    queued_turns: queued,
    mcp_tools_registered: [],
    sbp_version: '1.2',
    sbp_level: 'L5',
    session_token: 'token',
  };
}

export function tether(name: string, seq: number, index: number): FrameOf<'TETHER_TURN'> {
  return {
    type: 'TETHER_TURN',
    turn_index: index,
    role: 'assistant',
    content: `text ${name}`,
    model_used: 'demo',
    created_at: '2030-01-01T00:00:00.000Z',
    turn_id: `turn-${name}`,
    seq,
    status: 'completed',
  };
}

export function chunk(
  name: string,
  attempt: string,
  offset: number,
  delta: string,
  replaces?: string,
): FrameOf<'TURN_CHUNK'> {
  const replaced = replaces === undefined ? {} : { replaces };
  return {
    type: 'TURN_CHUNK',
    chunk_id: attempt,
    delta,
    turn_id: `turn-${name}`,
    offset,
    ...replaced,
  };
}

export function complete(name: string, attempt: string, seq: number): FrameOf<'TURN_COMPLETE'> {
  return {
    type: 'TURN_COMPLETE',
    chunk_id: attempt,
    turn_id: `turn-${name}`,
    seq,
    status: 'completed',
  };
}

export const PING: ServerFrame = { type: 'PING' };
export type Line = ServerFrame | 'ATTACH_SESSION' | 'PONG' | 'DETACH';

/** A connection whose events come one per ms from `openedAt` on. */
export function connection(
  id: string,
  openedAt: number,
  lines: readonly Line[],
  closeCode = 1006,
): Connection {
  const events = lines.map((line, index): ConnectionEvent => {
    const at = openedAt + 1 + index;
    return typeof line === 'string'
      ? { type: 'sent', at, frame: line }
      : { type: 'received', at, frame: line };
  });
  const closedAt = openedAt + 2 + events.length;
  return { id, openedAt, events, answered: [], diedAt: null, closedAt, closeCode };
}

/**
 * Allowed: `a` is answered before any surface was there; `b` broke and its adopter completed it;
 * `c` is seen live, in a second attempt; `d` is shown and not acknowledged, so it comes again; `e`
 * is of a caller who vanished.
 */
export function allowed(): ConversationHistory {
  return {
    name: 'example',
    sessionId: SESSION,
    callsWait: false,
    calls: [
      answered('a', 1_000, 1),
      unanswered('b', 2_000, 'broken'),
      answered('c', 4_000, 3),
      answered('d', 5_000, 4),
      unanswered('e', 6_000, 'vanished'),
      unanswered('f', 7_000, 'broken'),
      unanswered('g', 8_000, 'unreached'),
    ],
    cancellations: [],
    streams: [],
    reads: [{ begunAt: 4_500, turnIds: ['turn-a', 'turn-b', 'turn-c'] }],
    connections: [
      connection('1', 3_000, ['ATTACH_SESSION', attached(1), tether('b', 1, 0), PING, 'PONG']),
      connection('2', 4_010, [
        'ATTACH_SESSION',
        attached(0),
        chunk('c', 'c-1', 0, 'thrown a😀'),
        chunk('c', 'c-1', 9, 'way'),
        chunk('c', 'c-2', 0, 'te', 'c-1'),
        chunk('c', 'c-2', 2, 'xt c'),
        complete('c', 'c-2', 2),
        PING,
        'PONG',
        chunk('d', 'd-1', 0, 'text d'),
        complete('d', 'd-1', 3),
        PING,
      ]),
      connection(
        '3',
        9_000,
        [
          'ATTACH_SESSION',
          attached(2),
          tether('d', 3, 0),
          tether('e', 4, 1),
          PING,
          'PONG',
          'DETACH',
        ],
        1000,
      ),
      connection('4', 9_100, ['ATTACH_SESSION', attached(0), 'DETACH'], 1000),
    ],
    counted: [],
    acknowledged: [{ at: 3_100, seq: 1 }],
    found: {
      messages: [
        ...turn('a', 1_040),
        ...turn('b', 2_900),
        ...turn('c', 4_040),
        ...turn('d', 5_040),
        ...turn('e', 6_400),
      ],
      turnInFlight: null,
      stepCount: 5,
      turns: [],
      queuedTurns: 0,
    },
    kept: null,
  };
}

/** When processes died: while `b` and `f` were served. */
export const KILLED_AT: readonly number[] = [2_030, 7_030];

export function violations(
  conversation: ConversationHistory,
  killedAt = KILLED_AT,
  alwaysTaken = true,
): readonly Violation[] {
  return checkHistory({ conversations: [conversation], killedAt, alwaysTaken });
}

export function rulesBroken(
  conversation: ConversationHistory,
  killedAt = KILLED_AT,
): readonly Rule[] {
  return [...new Set(violations(conversation, killedAt).map(({ rule }) => rule))];
}

export function withCall(name: string, change: Partial<Call>): ConversationHistory {
  const history = allowed();
  return {
    ...history,
    calls: history.calls.map((call) =>
      call.marker === `m-${name}` ? { ...call, ...change } : call,
    ),
  };
}

export function withFound(change: Partial<ConversationHistory['found']>): ConversationHistory {
  const history = allowed();
  return { ...history, found: { ...history.found, ...change } };
}

export function withMessages(
  change: (messages: readonly FoundMessage[]) => readonly FoundMessage[],
): ConversationHistory {
  const messages = change(allowed().found.messages);
  return withFound({
    messages,
    stepCount: messages.filter(({ role }) => role === 'assistant').length,
  });
}

export function withConnection(
  id: string,
  openedAt: number,
  lines: readonly Line[],
  closeCode?: number,
): ConversationHistory {
  const history = allowed();
  const others = history.connections.filter((each) => each.id !== id);
  return { ...history, connections: [...others, connection(id, openedAt, lines, closeCode)] };
}

export function textOf(
  messages: readonly FoundMessage[],
  turnId: string,
  text: string,
): readonly FoundMessage[] {
  return messages.map((each) =>
    each.turnId === turnId && each.role === 'assistant' ? { ...each, text } : each,
  );
}
