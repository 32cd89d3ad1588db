import { describe, expect, it } from 'vitest';
import {
  ATTACH,
  CALL,
  OTHER_CALL,
  OTHER_TURN,
  id,
  sessionOpened,
  surfaceAcknowledged,
  surfaceAttached,
  surfaceDetached,
  toolCalled,
  toolReturned,
  toolsCalled,
  turnAdopted,
  turnCancelled,
  turnCompleted,
  turnFailed,
  turnQueued,
  turnStarted,
  turnUndelivered,
  turnWithdrawn,
} from '#libs/domain/testing';
import type { LogEvent } from '#libs/protocol';
import type { CountedSession } from './counted-session.js';
import { NEW_SESSION } from './counted-session.js';
import { countEvent } from './count-event.js';

/** What a session's events are counted as, by 'model|device counter'. */
function counted(...events: readonly LogEvent[]) {
  let session: CountedSession = NEW_SESSION;
  const counts: Record<string, number> = {};
  const waits: { seq: number; model: string }[] = [];
  for (const event of events) {
    const next = countEvent(session, event);
    session = next.session;
    for (const { model, device, counter, value } of next.counts) {
      const key = `${model}|${device} ${counter}`;
      counts[key] = (counts[key] ?? 0) + value;
    }
    waits.push(...next.waits);
  }
  return { counts, waits, session };
}

const MOBILE = { context: { device_type: 'mobile', mcp_tools: ['gps'] } };
const opened = sessionOpened(10);
const started = turnStarted(10);
const completed = turnCompleted(10);
const second = { turn: OTHER_TURN, after: 1 };

describe('a turn is counted', () => {
  it('as completed with its tokens, cost and times, for the model that was asked for', () => {
    expect(counted(opened, started, completed).counts).toEqual({
      'demo| turns.completed': 1,
      'demo| tokens.prompt': 3,
      'demo| tokens.completion': 2,
      'demo| cost.nano_usd': 250_000_000,
      'demo| first_token_ms.count': 1,
      'demo| first_token_ms.sum': 1,
      'demo| max.first_token_ms': 1,
      'demo| first_token_ms.le.10': 1,
      'demo| model_ms.count': 1,
      'demo| model_ms.sum': 2,
      'demo| max.model_ms': 2,
      'demo| model_ms.le.10': 1,
    });
  });

  it('once, whatever comes late or twice', () => {
    const { counts } = counted(opened, started, completed);
    const late = [completed, started, opened, turnFailed(10), turnAdopted(9)];
    expect(counted(opened, started, completed, ...late).counts).toEqual(counts);
  });

  it('by the end of the attempt that counts, and not by one that lost its claim', () => {
    const adopted = turnAdopted(20);
    const { counts } = counted(opened, started, adopted, completed, turnFailed(20));
    expect(counts).toMatchObject({
      'demo| adoptions': 1,
      'demo| turns.failed': 1,
      'demo| error.SBP_UPSTREAM_UNAVAILABLE': 1,
    });
    expect(counts).not.toHaveProperty(['demo| turns.completed']);
    expect(counts).not.toHaveProperty(['demo| tokens.prompt']);
  });

  it('as cancelled where another one takes its place', () => {
    const { counts } = counted(opened, started, turnStarted(20, second), turnCancelled(20, second));
    expect(counts).toMatchObject({ 'demo| turns.cancelled': 2 });
  });

  it('with what its rounds have used where it does not complete', () => {
    const called = toolsCalled(10);
    const { counts } = counted(
      opened,
      surfaceAttached(ATTACH, MOBILE),
      started,
      called,
      turnFailed(10),
    );
    const { usage, cost_usd: cost } = called.data;
    expect(counts).toMatchObject({
      'demo|mobile turns.failed': 1,
      'demo|mobile tool.cancelled': 1,
    });
    expect(counts['demo|mobile tokens.prompt']).toBe(usage?.prompt_tokens);
    expect(counts['demo|mobile cost.nano_usd']).toBe((cost ?? 0) * 1e9);
  });

  it('without a cost that nobody knows', () => {
    const unpriced = { ...completed, data: { ...completed.data, cost_usd: null, usage: null } };
    const { counts } = counted(opened, started, unpriced);
    expect(counts).toMatchObject({ 'demo| turns.without_cost': 1 });
    expect(counts).not.toHaveProperty(['demo| cost.nano_usd']);
  });

  it('for the device that was attached when it began', () => {
    const attached = surfaceAttached(ATTACH, MOBILE);
    const { counts } = counted(opened, attached, started, surfaceDetached(ATTACH), completed);
    expect(counts).toMatchObject({ '|mobile attaches': 1, 'demo|mobile turns.completed': 1 });
  });

  it('that never started as cancelled, or failed with its code, for its own model', () => {
    const queued = turnQueued({ turn: OTHER_TURN });
    const told = { turn: OTHER_TURN };
    const model = queued.data.model;
    expect(counted(opened, started, queued, turnWithdrawn(told)).counts).toMatchObject({
      [`${model}| turns.cancelled`]: 1,
    });
    const failed = turnWithdrawn({ ...told, code: 'SBP_UPSTREAM_UNAVAILABLE' });
    expect(counted(opened, started, queued, failed, failed).counts).toMatchObject({
      [`${model}| turns.failed`]: 1,
      [`${model}| error.SBP_UPSTREAM_UNAVAILABLE`]: 1,
    });
  });

  it('with numbers that a column takes, whatever the model has said', () => {
    const usage = { prompt_tokens: 1e300, completion_tokens: 0.6 };
    const odd = { ...completed, data: { ...completed.data, usage } };
    const { counts } = counted(opened, turnStarted(10, { model: `m\0${'x'.repeat(300)}` }), odd);
    const model = `m\ufffd${'x'.repeat(198)}`;
    expect(counts).toMatchObject({
      [`${model}| tokens.prompt`]: 1e12,
      [`${model}| tokens.completion`]: 1,
    });
  });
});

describe('a call of a tool is counted', () => {
  const begun = [opened, surfaceAttached(ATTACH, MOBILE), started] as const;

  it('by its first outcome, for the turn whose model made it', () => {
    const calls = [CALL, OTHER_CALL];
    const { counts } = counted(
      ...begun,
      toolsCalled(10, { calls }),
      toolReturned(CALL, { result: 1 }),
      toolReturned(CALL, { result: 2 }),
      surfaceDetached(ATTACH),
    );
    expect(counts).toEqual({
      '|mobile attaches': 1,
      'demo|mobile tool.result': 1,
      'demo|mobile tool.cancelled': 1,
    });
  });

  it('for no model where a client of MCP made it', () => {
    const { counts } = counted(...begun, toolCalled(CALL), toolReturned(CALL, { result: 1 }));
    expect(counts).toMatchObject({ '|mobile tool.result': 1 });
  });
});

describe('the Tether', () => {
  const attached = surfaceAttached(ATTACH, MOBILE);
  const away = [opened, attached, surfaceDetached(ATTACH), started, completed] as const;

  it('has a turn that waits where no surface is there to read it', () => {
    const { counts, waits } = counted(...away);
    expect(counts).toMatchObject({ 'demo| tether.waited': 1 });
    expect(waits).toEqual([{ model: 'demo', device: '', seq: 1 }]);
    expect(counted(opened, attached, started, completed).waits).toEqual([]);
    expect(counted(opened, started, completed).waits).toEqual([]);
  });

  it('has a turn whose answer was lost afterwards', () => {
    const { waits } = counted(opened, started, completed, turnUndelivered(), turnUndelivered());
    expect(waits).toEqual([{ model: 'demo', device: '', seq: 1 }]);
  });

  it('is moved by an acknowledgement of the attachment that is there', () => {
    const back = surfaceAttached(id(0xa0009), MOBILE);
    const { session } = counted(...away, back, surfaceAcknowledged(1, ATTACH));
    expect(session.state).toMatchObject({ cursor: 0 });
  });
});

it('what is known of a session stays bounded, however many turns it has', () => {
  const turns = Array.from({ length: 300 }, (_, at) => {
    const told = { turn: id(0x900 + at), after: at };
    return [turnStarted(10 + at, told), turnCompleted(10 + at, told)];
  }).flat();
  const { session } = counted(sessionOpened(5), ...turns);
  expect(Object.keys(session.turns).length).toBeLessThanOrEqual(16);
});
