import { describe, expect, it } from 'vitest';
import { LogEvent } from '#libs/protocol';
import type { PlainCommand, PlainCommandOf } from './command.js';
import {
  ACTOR,
  ATTACH,
  FAILURE,
  GATEWAY,
  OTHER_ATTACH,
  OTHER_TURN,
  RUNNER,
  SESSION,
  TURN,
  assistant,
  given,
  id,
  instant,
  sessionExported,
  sessionOpened,
  surfaceAttached,
  surfaceDetached,
  turnAdopted,
  turnCompleted,
  turnFailed,
  turnStarted,
  user,
} from '#libs/domain/testing';
import { NO_TOOL_POLICY } from '#libs/protocol';
import { MAX_ADOPTIONS, mustGiveUp } from './turns/decide-turns.js';
import { messageBytes } from './transcript/message-bytes.js';
import { TAKEOVER_LIMIT, TAKEOVER_WINDOW_MS } from './session-state.js';

const claim = { turnId: TURN, epoch: 10 };
const request = {
  update: { keeps: 0, keptBytes: 0, messages: [user('Hello')], system: null },
  model: 'demo',
  options: { stream: true, top_k: 3 },
  toolPolicy: NO_TOOL_POLICY,
  checkpointEvery: 2,
  bodyHash: 'b'.repeat(64),
  idempotencyKey: 'key-1',
};
const start: PlainCommand = {
  type: 'StartTurn',
  claim,
  runner: RUNNER,
  request,
  opener: { principal: 'anonymous', agentId: 'agent' },
  entry: 'at-once',
};
const output = {
  messages: [assistant('Hi.')],
  modelUsed: 'demo-1',
  usage: null,
  costUsd: null,
  firstTokenMs: 3,
  modelMs: 5,
  alternatives: [],
  finishReason: null,
  before: null,
};
const complete: PlainCommandOf<'CompleteTurn'> = {
  type: 'CompleteTurn',
  claim,
  output,
  checkpointEvery: 1,
  caller: 'connected',
};
const opened = [sessionOpened(10), turnStarted(10)] as const;
const completed = [...opened, turnCompleted(10)] as const;
const attach: PlainCommand = {
  type: 'AttachSurface',
  attachId: ATTACH,
  gateway: GATEWAY,
  context: {},
};

describe('StartTurn', () => {
  it('of a session that is not open opens it at the same epoch, in the same append', () => {
    expect(given().when(start, instant(5))).toEqual({
      type: 'events',
      events: [
        {
          id: id(1),
          schema: 1,
          session_id: SESSION,
          occurred_at: instant(5),
          by: ACTOR,
          type: 'session.opened',
          epoch: 10,
          data: { principal: 'anonymous', agent_id: 'agent' },
        },
        {
          id: id(2),
          schema: 1,
          session_id: SESSION,
          occurred_at: instant(5),
          by: ACTOR,
          type: 'turn.started',
          turn_id: TURN,
          epoch: 10,
          data: {
            runner: RUNNER,
            after: 0,
            keeps: 0,
            kept_bytes: 0,
            message_count: 1,
            bytes: messageBytes([user('Hello')]),
            replaces_system: false,
            model: 'demo',
            checkpoint_every: 2,
            body_hash: 'b'.repeat(64),
            idempotency_key: 'key-1',
            queued: false,
            interrupt: false,
          },
          content: { messages: [user('Hello')], options: { stream: true, top_k: 3 } },
        },
      ],
    });
  });

  it('of an open session is the turn’s start alone', () => {
    const decision = given(...completed).when({
      ...start,
      claim: { turnId: OTHER_TURN, epoch: 20 },
    });
    expect(decision).toMatchObject({
      events: [{ type: 'turn.started', turn_id: OTHER_TURN, epoch: 20 }],
    });
    expect(decision.type === 'events' && decision.events).toHaveLength(1);
  });

  it('tells of system messages only where they replace the stored ones', () => {
    const system = [{ role: 'system' as const, content: 'Be brief.' }];
    const update = { ...request.update, system };
    expect(given(...completed).when({ ...start, request: { ...request, update } })).toMatchObject({
      events: [{ data: { replaces_system: true, after: 1 }, content: { system } }],
    });
  });

  it('after a claim that was taken over before the opening still opens', () => {
    const decision = given(turnAdopted(5)).when(start);
    expect(decision).toMatchObject({
      events: [{ type: 'session.opened' }, { type: 'turn.started' }],
    });
  });
});

describe('CompleteTurn', () => {
  it('states what the model said, by which attempt, and whether the caller was there', () => {
    expect(given(...opened).when(complete, instant(5))).toEqual({
      type: 'events',
      events: [
        {
          id: id(1),
          schema: 1,
          session_id: SESSION,
          occurred_at: instant(5),
          by: ACTOR,
          type: 'turn.completed',
          turn_id: TURN,
          epoch: 10,
          data: {
            message_count: 1,
            bytes: messageBytes([assistant('Hi.')]),
            model_used: 'demo-1',
            usage: null,
            cost_usd: null,
            snapshot_id: id(2),
            caller: 'connected',
            first_token_ms: 3,
            model_ms: 5,
          },
          content: { messages: [assistant('Hi.')] },
        },
      ],
    });
  });

  // [SBP-L1-35]
  it('takes a checkpoint every so many completed turns', () => {
    const snapshots = (steps: number, checkpointEvery: number): boolean => {
      const log = Array.from({ length: steps }, (_, index) => [
        turnStarted(20 + index, { turn: id(50 + index) }),
        turnCompleted(20 + index, { turn: id(50 + index) }),
      ]).flat();
      const decision = given(sessionOpened(10), ...log).when({ ...complete, checkpointEvery });
      const [event] = decision.type === 'events' ? decision.events : [];
      return event?.type === 'turn.completed' && event.data.snapshot_id !== null;
    };
    expect([0, 1, 2, 3, 4].map((steps) => snapshots(steps, 1))).toEqual([
      true,
      true,
      true,
      true,
      true,
    ]);
    expect([0, 1, 2, 3, 4, 5].map((steps) => snapshots(steps, 3))).toEqual([
      false,
      false,
      true,
      false,
      false,
      true,
    ]);
  });

  it('counts completed turns only: failed ones bring no checkpoint nearer', () => {
    const decision = given(...opened, turnFailed(10)).when({ ...complete, checkpointEvery: 2 });
    expect(decision).toMatchObject({ events: [{ data: { snapshot_id: null } }] });
  });

  it('of a turn that opened its session counts it as the first', () => {
    expect(given().when(complete)).toMatchObject({ events: [{ data: { snapshot_id: id(2) } }] });
    expect(given().when({ ...complete, checkpointEvery: 2 })).toMatchObject({
      events: [{ data: { snapshot_id: null } }],
    });
  });
});

describe('commands that become one event each', () => {
  const exported = sessionExported(id(5)).data;
  it.each<[PlainCommand, object]>([
    [
      { type: 'AdoptTurn', claim, runner: RUNNER, handedOver: true },
      {
        type: 'turn.adopted',
        turn_id: TURN,
        epoch: 10,
        data: { runner: RUNNER, handed_over: true },
      },
    ],
    [
      {
        type: 'FailTurn',
        claim,
        error: { ...FAILURE, message: 'x'.repeat(5000) },
        caller: 'gone',
        reachedModel: true,
        upstreamStatus: 503,
        answer: { status: 503, type: 'text/plain', body: 'no' },
      },
      {
        type: 'turn.failed',
        turn_id: TURN,
        epoch: 10,
        data: { code: FAILURE.code, caller: 'gone', reached_model: true, upstream_status: 503 },
        content: {
          message: 'x'.repeat(4000),
          answer: { status: 503, type: 'text/plain', body: 'no' },
        },
      },
    ],
    [
      { type: 'CancelTurn', claim, error: FAILURE, caller: 'connected', usage: null },
      {
        type: 'turn.cancelled',
        turn_id: TURN,
        epoch: 10,
        data: { code: FAILURE.code, caller: 'connected', usage: null },
        content: { message: FAILURE.message },
      },
    ],
    [
      { type: 'ReportUndelivered', turnId: TURN },
      { type: 'turn.undelivered', turn_id: TURN, data: {} },
    ],
    [
      attach,
      { type: 'surface.attached', data: { attach_id: ATTACH, gateway: GATEWAY, context: {} } },
    ],
    [
      { type: 'DetachSurface', attachId: ATTACH, reason: 'closed' },
      { type: 'surface.detached', data: { attach_id: ATTACH, reason: 'closed' } },
    ],
    [
      { type: 'AcknowledgeTurns', attachId: ATTACH, seq: 4 },
      { type: 'surface.acknowledged', data: { attach_id: ATTACH, seq: 4 } },
    ],
    [
      { type: 'ExportSession', exported, label: 'Trip' },
      { type: 'session.exported', data: exported, content: { label: 'Trip' } },
    ],
  ])('%j', (command, event) => {
    const decision = given(...completed).when(command, instant(5));
    const envelope = {
      id: id(1),
      schema: 1,
      session_id: SESSION,
      occurred_at: instant(5),
      by: ACTOR,
    };
    expect(decision).toEqual({ type: 'events', events: [{ ...envelope, ...event }] });
    // What is decided can be read back from the log.
    expect(decision.type === 'events' && LogEvent.parse(decision.events[0])).toEqual({
      ...envelope,
      ...event,
    });
  });
});

describe('AttachSurface while surfaces take over from one another', () => {
  const takeovers = (count: number) =>
    Array.from({ length: count + 1 }, (_, index) =>
      surfaceAttached(id(100 + index), { at: instant(index * 100) }),
    );
  const again: PlainCommand = { ...attach, attachId: OTHER_ATTACH };
  const last = TAKEOVER_LIMIT * 100;

  // [SBP-L2-23]
  it('is refused after five takeovers within ten seconds', () => {
    const log = given(...completed, ...takeovers(TAKEOVER_LIMIT));
    expect(log.when(again, instant(last))).toEqual({
      type: 'refused',
      reason: 'too-many-takeovers',
    });
    expect(log.when(again, instant(100 + TAKEOVER_WINDOW_MS - 1)).type).toBe('refused');
  });

  it('is taken again when the first of them is ten seconds old', () => {
    const log = given(...completed, ...takeovers(TAKEOVER_LIMIT));
    expect(log.when(again, instant(100 + TAKEOVER_WINDOW_MS)).type).toBe('events');
  });

  it('is taken after fewer, and after attaches that took nothing over', () => {
    expect(
      given(...completed, ...takeovers(TAKEOVER_LIMIT - 1)).when(again, instant(last)).type,
    ).toBe('events');
    const peaceful = takeovers(TAKEOVER_LIMIT * 2).flatMap((attached) => [
      attached,
      surfaceDetached(attached.data.attach_id),
    ]);
    expect(given(...completed, ...peaceful).when(again, instant(last)).type).toBe('events');
  });
});

describe('a turn whose runners die', () => {
  // [SBP-L2-02]
  it('is gone on with by three adopters, and given up by the fourth [A6]', () => {
    const adopted = (times: number) =>
      given(...opened, ...Array.from({ length: times }, (_, index) => turnAdopted(20 + index)))
        .session.turn;
    const verdicts = [0, 1, 2, 3, 4].map((times) => {
      const turn = adopted(times);
      return turn !== null && mustGiveUp(turn);
    });
    expect(verdicts).toEqual([false, false, false, false, true]);
    expect(MAX_ADOPTIONS).toBe(3);
  });

  it('is not given up however often they only handed it over', () => {
    const handOvers = Array.from({ length: 2 * MAX_ADOPTIONS }, (_, index) =>
      turnAdopted(20 + index, { handedOver: true }),
    );
    const { turn } = given(...opened, ...handOvers).session;
    expect(turn?.adoptions).toBe(0);
    expect(turn !== null && mustGiveUp(turn)).toBe(false);
  });
});
