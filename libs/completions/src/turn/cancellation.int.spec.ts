import { describe, expect, it, vi } from 'vitest';
import type { OpenSession } from '#libs/domain';
import { DEFAULT_DEMO_OPTIONS, DemoModel } from '#libs/llm';
import type { LogEventOf } from '#libs/protocol';
import { SessionReleases } from '#libs/session-log';
import { TestCaller } from '../testing/test-caller.js';
import type { TestCompletions } from '../testing/test-completions.js';
import { TestModel, neverAnswer } from '../testing/test-model.js';
import { eventually, useStage } from '../testing/test-stage.js';
import { Cancellation } from './cancellation.js';

const stage = useStage();
const by = { principal: 'anonymous', via: 'http' } as const;

/** A model that says a word at once, and the next one after a minute. */
const slow = () =>
  new DemoModel({ ...DEFAULT_DEMO_OPTIONS, ttftMs: 0, tokens: 5, intervalMs: 60_000 });

/** A process that takes its mail, or one that does not hear. */
async function start(model = slow(), hears = true): Promise<TestCompletions> {
  const completions = await stage.start({ model });
  const { address } = completions.process;
  if (!hears) await stage.backend.mailbox.receive(address, () => undefined);
  return completions;
}

/** A turn that has begun to be answered. */
async function begun(runner: TestCompletions) {
  const caller = new TestCaller();
  const running = runner.turn({ stream: true }, caller);
  await eventually(() => expect(caller.seen).toContain('chunk'));
  const sessionId = caller.session?.sessionId ?? '';
  return { caller, running, sessionId };
}

async function stateOf(sessionId: string): Promise<OpenSession> {
  await stage.backend.freshness.latest(sessionId);
  const state = await stage.backend.sessions.state(sessionId);
  if (state.phase !== 'open') throw new Error('the session is not open');
  return state;
}

async function cancel(at: TestCompletions, sessionId: string, turnId: string | null = null) {
  return at.get(Cancellation).cancel(sessionId, await stateOf(sessionId), turnId, by);
}

async function cancelled(sessionId: string): Promise<LogEventOf<'turn.cancelled'>> {
  const events = await stage.backend.events(sessionId);
  const found = events.find((event) => event.type === 'turn.cancelled');
  if (found === undefined) throw new Error('no turn was cancelled');
  return found;
}

describe('a turn is stopped [A13]', () => {
  // [SBP-L1-70]
  it('from another process: its caller is told, and what the model had used is recorded', async () => {
    const [runner, other] = [await start(), await start()];
    const { caller, running, sessionId } = await begun(runner);
    expect(await cancel(other, sessionId)).toMatchObject({ status: 'cancelled' });
    await running;
    expect(caller.failure).toMatchObject({ code: 'SBP_TURN_CANCELLED', begun: true });
    expect((await cancelled(sessionId)).data).toMatchObject({
      caller: 'connected',
      usage: { estimated: true },
    });
    expect(await stateOf(sessionId)).toMatchObject({ turn: null, steps: 0 });
  });

  it('by the process that runs it', async () => {
    const runner = await start();
    const { caller, running, sessionId } = await begun(runner);
    expect(await cancel(runner, sessionId)).toMatchObject({ status: 'cancelled' });
    await running;
    expect(caller.failure?.code).toBe('SBP_TURN_CANCELLED');
    expect(await stage.types(sessionId)).toEqual([
      'session.opened',
      'turn.started',
      'turn.cancelled',
    ]);
  });

  // [SBP-L1-71]
  it('though its runner does not hear: it finds its claim taken, ends, and tells its caller', async () => {
    const [runner, other] = [await start(slow(), false), await start()];
    const { caller, running, sessionId } = await begun(runner);
    expect(await cancel(other, sessionId)).toMatchObject({ status: 'cancelled' });
    await running;
    expect(caller.failure?.code).toBe('SBP_TURN_CANCELLED');
    expect((await cancelled(sessionId)).data).toMatchObject({ caller: 'gone', usage: null });
  });

  // [SBP-OPS-10]
  it('and who asks is told 503 while the log does not answer; it goes on, also for who asks again', async () => {
    const runner = await start();
    const { running, sessionId } = await begun(runner);
    const state = await stateOf(sessionId);
    const held = Promise.withResolvers<undefined>();
    const reached = Promise.withResolvers<undefined>();
    stage.backend.log.obstacle = async () => {
      reached.resolve(undefined);
      await held.promise;
    };
    const cancellation = runner.get(Cancellation);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const asking = cancellation.cancel(sessionId, state, null, by);
    const told = expect(asking).rejects.toMatchObject({
      ...{ code: 'SBP_UPSTREAM_UNAVAILABLE', retryAfter: 1 },
    });
    await reached.promise;
    await vi.advanceTimersByTimeAsync(25_000);
    await told;
    vi.useRealTimers();
    const again = cancellation.cancel(sessionId, state, null, by);
    held.resolve(undefined);
    expect(await again).toMatchObject({ status: 'cancelled' });
    await running;
    const types = await stage.types(sessionId);
    expect(types).toEqual(['session.opened', 'turn.started', 'turn.cancelled']);
  });

  it('before the model has answered: its call is aborted, and nobody knows what it used', async () => {
    const model = new TestModel();
    let isAborted = false;
    model.answer = (request) => {
      request.signal.addEventListener('abort', () => (isAborted = true));
      return neverAnswer(request);
    };
    const runner = await start(model as never);
    const running = runner.turn({ stream: true });
    const started = async () =>
      (await stage.backend.events()).find(({ type }) => type === 'turn.started');
    const event = await eventually(async () => {
      const found = await started();
      expect(found).toBeDefined();
      return found;
    });
    await cancel(runner, event?.session_id ?? '');
    expect(isAborted).toBe(true);
    expect((await cancelled(event?.session_id ?? '')).data.usage).toBeNull();
    expect((await running).failure?.code).toBe('SBP_TURN_CANCELLED');
  });

  it('and the session goes on with the next one', async () => {
    const runner = await start();
    const { running, sessionId } = await begun(runner);
    await cancel(runner, sessionId);
    await running;
    const next = runner.turn({ sbp: { session_id: sessionId }, stream: true });
    await eventually(async () => expect((await stateOf(sessionId)).turn).not.toBeNull());
    expect(await stateOf(sessionId)).toMatchObject({ turns: 2 });
    await cancel(runner, sessionId);
    await next;
  });
});

describe('of a turn’s end and its cancellation', () => {
  const quick = () =>
    new DemoModel({ ...DEFAULT_DEMO_OPTIONS, ttftMs: 0, tokens: 2, intervalMs: 0 });

  /** A runner whose append of the turn's end waits before the log, or whose release waits. */
  async function atItsEnd(where: 'before the log' | 'behind it') {
    const gate = Promise.withResolvers<undefined>();
    const reached = Promise.withResolvers<undefined>();
    const runner = await stage.start({
      model: quick(),
      replaced: [
        {
          part: SessionReleases,
          by: ({ claims }) =>
            new (class extends SessionReleases {
              override async release(release: Parameters<SessionReleases['release']>[0]) {
                if (where === 'behind it' && release.head !== null) {
                  reached.resolve(undefined);
                  await gate.promise;
                }
                return super.release(release);
              }
            })(claims),
        },
      ],
    });
    if (where === 'before the log') {
      stage.backend.log.obstacle = async (events) => {
        if (events[0].type !== 'turn.completed') return;
        reached.resolve(undefined);
        await gate.promise;
      };
    }
    const caller = new TestCaller();
    const running = runner.turn({}, caller);
    await reached.promise;
    const [first] = await stage.backend.events();
    return { caller, running, sessionId: first?.session_id ?? '', goOn: gate.resolve };
  }

  // [SBP-L1-72]
  it('the one that stands first in the log counts: the cancellation', async () => {
    const { caller, running, sessionId, goOn } = await atItsEnd('before the log');
    const other = await start();
    expect(await cancel(other, sessionId)).toMatchObject({ status: 'cancelled' });
    goOn(undefined);
    await running;
    expect(caller.seen).toEqual(['fail SBP_TURN_CANCELLED']);
    expect(await stateOf(sessionId)).toMatchObject({ steps: 0 });
  });

  // [SBP-L1-72]
  it('or the end: whoever cancels is told so, and the caller has its answer', async () => {
    const { caller, running, sessionId, goOn } = await atItsEnd('behind it');
    const other = await start();
    // The end is in the log, and the canceller saw the session as it was before.
    const state = await stage.backend.sessions.state(sessionId);
    const open: OpenSession = {
      ...(state as OpenSession),
      turn: {
        turnId: (await stage.backend.events(sessionId)).flatMap((event) =>
          event.type === 'turn.started' ? [event.turn_id] : [],
        )[0] as string,
        number: 1,
        epoch: 1,
        runner: other.process.address,
        adoptions: 0,
        rounds: 0,
        resultBytes: 0,
        parked: false,
        startedAt: '2026-05-10T15:05:00.000Z',
      },
    };
    const answer = other.get(Cancellation).cancel(sessionId, open, null, by);
    expect(await answer).toMatchObject({ status: 'completed' });
    goOn(undefined);
    await running;
    expect(caller.seen).toEqual(['answer with sbp']);
  });
});

describe('nothing is stopped', () => {
  // [SBP-L1-73]
  it('where no turn runs, where it has ended, or where there is none of that id: 409', async () => {
    const model = new TestModel();
    const runner = await start(model as never);
    const { session } = await runner.turn();
    const sessionId = session?.sessionId ?? '';
    const events = await stage.backend.events(sessionId);
    const turnId = events.flatMap((event) => ('turn_id' in event ? [event.turn_id] : []))[0] ?? '';
    const problem = { code: 'SBP_SESSION_CONFLICT' };
    await expect(cancel(runner, sessionId)).rejects.toMatchObject(problem);
    await expect(cancel(runner, sessionId, turnId)).rejects.toMatchObject({
      ...problem,
      param: 'turn_id',
      message: expect.stringContaining('completed') as string,
    });
    await expect(cancel(runner, sessionId, sessionId)).rejects.toMatchObject(problem);
    expect((await stateOf(sessionId)).turn).toBeNull();
  });
});

describe('a caller that goes away', () => {
  // [SBP-L1-62]
  it.each([
    ['cancel', ['session.opened', 'turn.started', 'turn.cancelled']],
    ['continue', ['session.opened', 'turn.started', 'turn.completed']],
  ] as const)('with on_disconnect %s leaves %j', async (on_disconnect, types) => {
    const model = new DemoModel({ ...DEFAULT_DEMO_OPTIONS, ttftMs: 0, tokens: 3, intervalMs: 200 });
    const runner = await start(model);
    const caller = new TestCaller();
    const running = runner.turn({ stream: true, sbp: { on_disconnect } }, caller);
    await eventually(() => expect(caller.seen).toContain('chunk'));
    caller.leave();
    await running;
    expect(await stage.types(caller.session?.sessionId)).toEqual(types);
  });
});
