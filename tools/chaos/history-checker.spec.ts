import { describe, expect, it } from 'vitest';
import type { ServerFrame } from '#libs/protocol';
import type {
  Call,
  Connection,
  ConnectionEvent,
  ConversationHistory,
  FoundMessage,
  Rule,
} from './history.js';
import { checkHistory } from './history-checker.js';

type FrameOf<T extends ServerFrame['type']> = Extract<ServerFrame, { type: T }>;

const SESSION = 'session-1';

function answered(name: string, begunAt: number, stepCount: number): Call {
  const outcome = {
    type: 'answered',
    sessionId: SESSION,
    turnId: `turn-${name}`,
    text: `text ${name}`,
    stepCount,
  } as const;
  return { marker: `m-${name}`, begunAt, endedAt: begunAt + 50, outcome };
}

function unanswered(
  name: string,
  begunAt: number,
  type: 'broken' | 'vanished' | 'unreached' | 'forgotten',
): Call {
  return { marker: `m-${name}`, begunAt, endedAt: begunAt + 50, outcome: { type } };
}

function turn(
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

function attached(queued: number): ServerFrame {
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

function tether(name: string, seq: number, index: number): FrameOf<'TETHER_TURN'> {
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

function chunk(
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

function complete(name: string, attempt: string, seq: number): FrameOf<'TURN_COMPLETE'> {
  return {
    type: 'TURN_COMPLETE',
    chunk_id: attempt,
    turn_id: `turn-${name}`,
    seq,
    status: 'completed',
  };
}

const PING: ServerFrame = { type: 'PING' };
type Line = ServerFrame | 'ATTACH_SESSION' | 'PONG' | 'DETACH';

/** A connection whose events come one per ms from `openedAt` on. */
function connection(
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
  return { id, openedAt, events, closedAt: openedAt + 2 + events.length, closeCode };
}

/**
 * Allowed: `a` is answered before any surface was there; `b` broke and its adopter completed it;
 * `c` is seen live, in a second attempt; `d` is shown and not acknowledged, so it comes again; `e`
 * is of a caller who vanished.
 */
function allowed(): ConversationHistory {
  return {
    name: 'example',
    sessionId: SESSION,
    calls: [
      answered('a', 1_000, 1),
      unanswered('b', 2_000, 'broken'),
      answered('c', 4_000, 3),
      answered('d', 5_000, 4),
      unanswered('e', 6_000, 'vanished'),
      unanswered('f', 7_000, 'broken'),
      unanswered('g', 8_000, 'unreached'),
    ],
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
      queuedTurns: 0,
    },
  };
}

function rulesBroken(conversation: ConversationHistory): readonly Rule[] {
  return [...new Set(checkHistory({ conversations: [conversation] }).map(({ rule }) => rule))];
}

function withCall(name: string, change: Partial<Call>): ConversationHistory {
  const history = allowed();
  return {
    ...history,
    calls: history.calls.map((call) =>
      call.marker === `m-${name}` ? { ...call, ...change } : call,
    ),
  };
}

function withFound(change: Partial<ConversationHistory['found']>): ConversationHistory {
  const history = allowed();
  return { ...history, found: { ...history.found, ...change } };
}

function withMessages(
  change: (messages: readonly FoundMessage[]) => readonly FoundMessage[],
): ConversationHistory {
  const messages = change(allowed().found.messages);
  return withFound({
    messages,
    stepCount: messages.filter(({ role }) => role === 'assistant').length,
  });
}

function withConnection(
  id: string,
  openedAt: number,
  lines: readonly Line[],
  closeCode?: number,
): ConversationHistory {
  const history = allowed();
  const others = history.connections.filter((each) => each.id !== id);
  return { ...history, connections: [...others, connection(id, openedAt, lines, closeCode)] };
}

function textOf(
  messages: readonly FoundMessage[],
  turnId: string,
  text: string,
): readonly FoundMessage[] {
  return messages.map((each) =>
    each.turnId === turnId && each.role === 'assistant' ? { ...each, text } : each,
  );
}

describe('the history checker accepts', () => {
  it('lost and repeated work that nobody was promised', () => {
    expect(checkHistory({ conversations: [allowed()] })).toEqual([]);
  });

  it.each<[string, ConversationHistory]>([
    [
      'an unacknowledged turn that comes again and again',
      withConnection('2b', 8_500, ['ATTACH_SESSION', attached(2), tether('d', 3, 0)]),
    ],
    [
      'a drain that the connection did not live to see the end of',
      withConnection('2b', 8_500, ['ATTACH_SESSION', attached(2)]),
    ],
    [
      'a caller told 503 before the start, whose turn never ran',
      withCall('g', {
        outcome: { type: 'refused', status: 503, code: 'SBP_UPSTREAM_UNAVAILABLE' },
      }),
    ],
    [
      'a stream that broke after the end of its text',
      withCall('b', { outcome: { type: 'finished', text: 'text b' } }),
    ],
    [
      'an acknowledgement that did not reach the log',
      {
        ...withConnection('2b', 8_500, [
          'ATTACH_SESSION',
          attached(2),
          tether('d', 3, 0),
          tether('e', 4, 1),
          PING,
          'PONG',
        ]),
        acknowledged: [],
      },
    ],
  ])('%s', (_title, history) => {
    expect(checkHistory({ conversations: [history] })).toEqual([]);
  });
});

describe('the history checker refuses', () => {
  it.each<[string, Rule, ConversationHistory]>([
    [
      'an answered turn that is not in the transcript',
      'lost',
      withMessages((all) => all.filter(({ turnId }) => turnId !== 'turn-a')),
    ],
    [
      'an answered turn of which only the question is left',
      'lost',
      withMessages((all) => all.filter((each) => each.turnId !== 'turn-a' || each.role === 'user')),
    ],
    [
      'a text sent to its end whose turn did not complete',
      'lost',
      withCall('f', { outcome: { type: 'finished', text: 'text f' } }),
    ],
    [
      'a turn shown to a surface that the transcript does not have',
      'lost',
      withMessages((all) => all.filter(({ turnId }) => turnId !== 'turn-e')),
    ],
    [
      'a request that ran twice',
      'doubled',
      withMessages((all) => [
        ...all,
        ...turn('b', 8_000).map((each) => ({ ...each, turnId: 'turn-b2' })),
      ]),
    ],
    [
      'a turn with two answers',
      'doubled',
      withMessages((all) =>
        all.flatMap((each) =>
          each.turnId === 'turn-b' && each.role === 'assistant' ? [each, each] : [each],
        ),
      ),
    ],
    [
      'a turn with two questions',
      'doubled',
      withMessages((all) =>
        all.flatMap((each) =>
          each.turnId === 'turn-b' && each.role === 'user' ? [each, each] : [each],
        ),
      ),
    ],
    [
      'turns in another order than they were answered in',
      'reordered',
      withMessages((all) => [...all.slice(2), ...all.slice(0, 2)]),
    ],
    [
      'turns that are mixed up with each other',
      'reordered',
      withMessages(([a, b, c, d, ...rest]) =>
        [a, c, b, d, ...rest].filter((each) => each !== undefined),
      ),
    ],
    [
      'turns numbered in another order than the transcript has them',
      'reordered',
      withMessages((all) => [
        ...all.filter(({ turnId }) => turnId !== 'turn-c'),
        ...turn('c', 7_000),
      ]),
    ],
    [
      'a number lower than the one before it',
      'reordered',
      withConnection('1', 3_000, [
        'ATTACH_SESSION',
        attached(2),
        tether('c', 2, 0),
        tether('b', 1, 1),
      ]),
    ],
    [
      'a caller that got another text than the transcript has',
      'altered',
      withCall('c', {
        outcome: {
          type: 'answered',
          sessionId: SESSION,
          turnId: 'turn-c',
          text: 'thrown away',
          stepCount: 3,
        },
      }),
    ],
    [
      'a transcript with another text than the surface was shown',
      'altered',
      withMessages((all) => textOf(all, 'turn-b', 'something else')),
    ],
    [
      'live pieces that do not make the committed text',
      'altered',
      withConnection('2', 4_010, [
        'ATTACH_SESSION',
        attached(0),
        chunk('c', 'c-2', 0, 'text'),
        complete('c', 'c-2', 2),
      ]),
    ],
    [
      'a turn shown as failed that completed',
      'altered',
      withConnection('2c', 8_500, [
        'ATTACH_SESSION',
        attached(2),
        { ...tether('d', 3, 0), status: 'failed', content: '' },
      ]),
    ],
    ['a turn that never ended', 'unended', withFound({ turnInFlight: 'turn-f' })],
    [
      'a caller that was neither answered nor broken off',
      'unended',
      withCall('f', unanswered('f', 7_000, 'forgotten')),
    ],
    [
      'a turn drained again after the log had its acknowledgement',
      'redrained',
      withConnection('1b', 3_500, ['ATTACH_SESSION', attached(1), tether('b', 1, 0)]),
    ],
    [
      'a turn drained again after an answered DETACH',
      'redrained',
      withConnection('4', 9_100, ['ATTACH_SESSION', attached(1), tether('e', 4, 0)]),
    ],
    [
      'a cursor that went back',
      'redrained',
      {
        ...withConnection('5', 9_200, ['ATTACH_SESSION', attached(4), tether('b', 1, 0)]),
        acknowledged: [],
      },
    ],
    [
      'turns that still wait when all were acknowledged',
      'redrained',
      withFound({ queuedTurns: 1 }),
    ],
    [
      'a number left out on a connection',
      'gap',
      withConnection('2', 4_010, [
        'ATTACH_SESSION',
        attached(0),
        chunk('d', 'd-1', 0, 'text d'),
        complete('d', 'd-1', 3),
        complete('f', 'f-1', 5),
      ]),
    ],
    [
      'a number that no surface was shown',
      'gap',
      withConnection('1', 3_000, ['ATTACH_SESSION', attached(1)]),
    ],
    [
      'a drain that leaves out what was not acknowledged',
      'gap',
      withConnection('1', 3_000, ['ATTACH_SESSION', attached(1), tether('b', 1, 0)]),
    ],
    [
      'a PONG that acknowledged what came after its PING',
      'gap',
      withConnection('1', 3_000, [
        'ATTACH_SESSION',
        attached(0),
        PING,
        complete('b', 'b-1', 1),
        'PONG',
      ]),
    ],
    [
      'fewer TETHER_TURN than announced',
      'drain',
      withConnection('1', 3_000, ['ATTACH_SESSION', attached(2), tether('b', 1, 0), PING, 'PONG']),
    ],
    [
      'more TETHER_TURN than announced',
      'drain',
      withConnection('1', 3_000, ['ATTACH_SESSION', attached(0), tether('b', 1, 0), PING, 'PONG']),
    ],
    [
      'a TETHER_TURN with a wrong index',
      'drain',
      withConnection('1', 3_000, ['ATTACH_SESSION', attached(1), tether('b', 1, 1), PING, 'PONG']),
    ],
    [
      'a turn before SESSION_ATTACHED',
      'drain',
      withConnection('1', 3_000, ['ATTACH_SESSION', tether('b', 1, 0), attached(0), PING, 'PONG']),
    ],
    [
      'two turns with one number',
      'conflict',
      withConnection('2c', 8_500, ['ATTACH_SESSION', attached(2), tether('e', 3, 0)]),
    ],
    [
      'one turn with two numbers',
      'conflict',
      withConnection('2c', 8_500, [
        'ATTACH_SESSION',
        attached(2),
        tether('d', 3, 0),
        tether('d', 4, 1),
      ]),
    ],
    [
      'callers of one agent answered in two sessions',
      'conflict',
      withCall('d', {
        outcome: {
          type: 'answered',
          sessionId: 'session-2',
          turnId: 'turn-d',
          text: 'text d',
          stepCount: 4,
        },
      }),
    ],
    [
      'a turn of a vanished caller that no surface was given',
      'undelivered',
      withConnection(
        '3',
        9_000,
        ['ATTACH_SESSION', attached(1), tether('d', 3, 0), PING, 'PONG', 'DETACH'],
        1000,
      ),
    ],
    [
      'a turn of a broken caller that failed and was not reported',
      'undelivered',
      withMessages((all) => [...all, ...turn('f', 7_000, null)]),
    ],
    [
      'live text with a hole',
      'chunks',
      withConnection('2c', 8_500, [
        'ATTACH_SESSION',
        attached(0),
        chunk('f', 'f-1', 0, 'ab'),
        chunk('f', 'f-1', 3, 'c'),
      ]),
    ],
    [
      'live text that begins in the middle',
      'chunks',
      withConnection('2c', 8_500, ['ATTACH_SESSION', attached(0), chunk('f', 'f-1', 3, 'c')]),
    ],
    [
      'an attempt that does not say what it replaces',
      'chunks',
      withConnection('2c', 8_500, [
        'ATTACH_SESSION',
        attached(0),
        chunk('f', 'f-1', 0, 'ab'),
        chunk('f', 'f-2', 0, 'c'),
      ]),
    ],
    [
      'live text after the end of its turn',
      'chunks',
      withConnection('2c', 8_500, [
        'ATTACH_SESSION',
        attached(2),
        tether('d', 3, 0),
        tether('e', 4, 1),
        chunk('e', 'e-2', 0, 'c'),
      ]),
    ],
    [
      'a caller told the wrong step',
      'count',
      withCall('c', {
        outcome: {
          type: 'answered',
          sessionId: SESSION,
          turnId: 'turn-c',
          text: 'text c',
          stepCount: 2,
        },
      }),
    ],
    ['a session with a wrong step_count', 'count', withFound({ stepCount: 6 })],
    [
      'a read that misses an answer given before it',
      'stale',
      { ...allowed(), reads: [{ begunAt: 4_500, turnIds: ['turn-a', 'turn-b'] }] },
    ],
    [
      'a request that was never sent and ran',
      'unexpected',
      withCall('f', { marker: 'm-e', outcome: { type: 'unreached' } }),
    ],
    [
      'a session that cannot be found',
      'unexpected',
      withCall('g', { outcome: { type: 'refused', status: 404, code: 'SBP_SESSION_NOT_FOUND' } }),
    ],
    [
      'a surface refused for no reason',
      'unexpected',
      withConnection(
        '2c',
        8_500,
        ['ATTACH_SESSION', { type: 'SESSION_NOT_FOUND', detail: '' }],
        4004,
      ),
    ],
    [
      'a turn that nobody asked for',
      'unexpected',
      withMessages((all) => [...all, ...turn('z', 7_000)]),
    ],
    [
      'a turn that failed without a reason',
      'unexpected',
      {
        ...withMessages((all) => [...all, ...turn('f', 7_000, null)]),
        connections: [
          ...allowed().connections,
          connection('5', 9_200, [
            'ATTACH_SESSION',
            attached(1),
            {
              ...tether('f', 5, 0),
              status: 'failed',
              content: '',
              error: { code: 'SBP_INTERNAL', message: '' },
            },
          ]),
        ],
      },
    ],
  ])('%s (%s)', (_title, rule, history) => {
    expect(rulesBroken(history)).toContain(rule);
  });
});
