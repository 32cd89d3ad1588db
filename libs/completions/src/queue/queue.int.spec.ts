import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { turnQueued } from '#libs/domain/testing';
import type { OpenSession } from '#libs/domain';
import { MAX_WAITING } from '#libs/domain';
import type { LogEvent } from '#libs/protocol';
import { SessionInspection } from '#libs/store';
import { Cancellation } from '../turn/cancellation.js';
import { RunStops } from '../turn/run-stops.js';
import { DeadProcess } from '../testing/dead-process.js';
import { trackedRequest } from '../testing/test-request.js';
import { TestCaller } from '../testing/test-caller.js';
import { TestModel, answerWith, neverAnswer } from '../testing/test-model.js';
import { eventually, useStage } from '../testing/test-stage.js';
import { Conversations } from '../claim/conversations.js';
import { Interruption } from './interruption.js';

const stage = useStage();
const by = { principal: 'anonymous', via: 'http' } as const;

afterEach(() => void vi.useRealTimers());

/** A model that answers one question after another, each when it is told to. */
class HeldModel extends TestModel {
  private readonly held: PromiseWithResolvers<undefined>[] = [];

  constructor() {
    super();
    this.answer = async ({ signal }) => {
      const held = Promise.withResolvers<undefined>();
      this.held.push(held);
      signal.addEventListener('abort', () => held.reject(signal.reason as Error));
      await held.promise;
      return answerWith(`Answer ${this.asked.length}.`);
    };
  }

  /** Lets the model answer what it was asked as number `at`, from 0. */
  async goOn(at: number): Promise<void> {
    await eventually(() => expect(this.held.length).toBeGreaterThan(at));
    this.held[at]?.resolve(undefined);
  }

  get questions(): readonly unknown[] {
    return this.asked.map(({ messages }) => messages.at(-1)?.content);
  }
}

/** A process with a session in which a first turn runs. */
async function busy(options: { readonly maxSessionBytes?: number } = {}) {
  const model = new HeldModel();
  const completions = await stage.start({ model, options });
  const first = completions.turn({ text: 'One.' });
  await eventually(() => expect(model.asked).toHaveLength(1));
  const sessionId = await opened();
  return { model, completions, first, sessionId, sbp: { session_id: sessionId } };
}

/** The session that the first turn opens. */
function opened(): Promise<string> {
  return eventually(async () => {
    const live = await stage.backend.sessions.live('anonymous', 'agent');
    if (live === null) throw new Error('there is no session yet');
    expect(await stage.backend.sessions.state(live)).toMatchObject({ phase: 'open' });
    return live;
  });
}

async function stateOf(sessionId: string): Promise<OpenSession> {
  await stage.backend.freshness.latest(sessionId);
  const state = await stage.backend.sessions.state(sessionId);
  if (state.phase !== 'open') throw new Error('the session is not open');
  return state;
}

/** Waits until so many turns wait; gives their ids. */
async function waiting(sessionId: string, count: number): Promise<readonly string[]> {
  return eventually(async () => {
    const { waiting: found } = await stateOf(sessionId);
    expect(found).toHaveLength(count);
    return found.map(({ turnId }) => turnId);
  });
}

function sbpOf(caller: TestCaller): Record<string, unknown> {
  return (caller.body?.['sbp'] ?? {}) as Record<string, unknown>;
}

// [SBP-L1-63]
describe('a request that finds its session busy', () => {
  it('waits in the log, and runs when those before it have ended, in their order', async () => {
    const { model, completions, first, sessionId, sbp } = await busy();
    const second = completions.turn({ sbp, text: 'Two.' });
    await waiting(sessionId, 1);
    const third = completions.turn({ sbp, text: 'Three.' });
    await waiting(sessionId, 2);
    for (const at of [0, 1, 2]) await model.goOn(at);
    for (const caller of await Promise.all([first, second, third])) {
      expect(caller.seen).toEqual(['answer with sbp']);
    }
    expect(model.questions).toEqual(['One.', 'Two.', 'Three.']);
    expect(await stateOf(sessionId)).toMatchObject({ steps: 3, messages: 6, waiting: [] });
  });

  it('may be on another replica than the one that runs', async () => {
    const { model, first, sessionId, sbp } = await busy();
    const other = await stage.start({ model });
    const second = other.turn({ sbp, text: 'Two.' });
    await waiting(sessionId, 1);
    await model.goOn(0);
    await model.goOn(1);
    expect((await second).seen).toEqual(['answer with sbp']);
    expect((await first).seen).toEqual(['answer with sbp']);
  });

  it('runs also where its caller goes away while it waits', async () => {
    const { model, completions, first, sessionId, sbp } = await busy();
    const caller = new TestCaller();
    const second = completions.turn({ sbp, text: 'Two.' }, caller);
    await waiting(sessionId, 1);
    caller.leave();
    await model.goOn(0);
    await model.goOn(1);
    await Promise.all([first, second]);
    // Its caller is gone, so a surface is owed it.
    expect(await stateOf(sessionId)).toMatchObject({ steps: 2, head: 1 });
  });

  it('runs once it was accepted, however late the log takes its start', async () => {
    const { model, completions, first, sessionId, sbp } = await busy();
    const caller = new TestCaller();
    const second = completions.turn({ sbp: { ...sbp, background: true }, text: 'Two.' }, caller);
    await eventually(() => expect(caller.seen).toEqual(['answer 202']));
    const held: (() => void)[] = [];
    stage.backend.log.obstacle = ([{ type }]) =>
      type === 'turn.started' ? new Promise((resolve) => held.push(resolve)) : Promise.resolve();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    await model.goOn(0);
    await eventually(() => expect(held).toHaveLength(1));
    await vi.advanceTimersByTimeAsync(60_000);
    vi.useRealTimers();
    held[0]?.();
    await model.goOn(1);
    await Promise.all([first, second]);
    expect(await stateOf(sessionId)).toMatchObject({ steps: 2, turns: 2, waiting: [] });
  });

  // [SBP-ERR-10]
  it('is told 503 at once where its session is quarantined meanwhile, and nothing is lost [A12]', async () => {
    const { model, completions, first, sessionId, sbp } = await busy();
    const second = completions.turn({ sbp, text: 'Two.' });
    await waiting(sessionId, 1);
    const later = { ...turnQueued({ session: sessionId }), type: 'session.starred' };
    await stage.backend.append(later as unknown as LogEvent);
    const told = { code: 'SBP_UPSTREAM_UNAVAILABLE', retryAfter: 60 };
    await expect(second).rejects.toMatchObject(told);
    await model.goOn(0);
    // It was claimed before; its answer is acknowledged, and held like all that comes.
    expect((await first).seen).toEqual(['answer with sbp']);
    await expect(completions.turn({ sbp, text: 'Three.' })).rejects.toMatchObject(told);
    // One that had seen the session before.
    const { asked } = trackedRequest({ text: 'Four.' });
    const interrupting = completions
      .get(Interruption)
      .take(sessionId, { turnId: randomUUID(), asked, by });
    await expect(interrupting).rejects.toMatchObject(told);
  });

  it('is told 409 where it does not want to wait, and nothing is begun', async () => {
    const { model, completions, first, sessionId, sbp } = await busy();
    const rejected = completions.turn({ sbp: { ...sbp, on_conflict: 'reject' } });
    await expect(rejected).rejects.toMatchObject({ code: 'SBP_SESSION_CONFLICT' });
    await model.goOn(0);
    await first;
    expect(await stage.types(sessionId)).toEqual([
      ...['session.opened', 'turn.started', 'turn.completed'],
    ]);
  });

  it('is told 429 where a hundred wait before it', async () => {
    const { model, completions, first, sessionId, sbp } = await busy();
    const holder = completions.process.address;
    const many = Array.from({ length: MAX_WAITING }, () => randomUUID());
    for (const turn of many)
      await stage.backend.append(turnQueued({ session: sessionId, turn, holder }));
    const refused = completions.turn({ sbp });
    await expect(refused).rejects.toMatchObject({ code: 'SBP_RATE_LIMITED' });
    expect((await stateOf(sessionId)).waiting.map(({ turnId }) => turnId)).toEqual(many);
    await model.goOn(0);
    await first;
  });

  it('that cannot start is told so, and leaves nothing', async () => {
    const { model, completions, first, sessionId, sbp } = await busy({ maxSessionBytes: 400 });
    const second = completions.turn({ sbp, text: 'Two.', bytes: 390 });
    await waiting(sessionId, 1);
    await model.goOn(0);
    expect((await second).seen).toEqual(['fail SBP_PAYLOAD_TOO_LARGE']);
    await first;
    expect(await stateOf(sessionId)).toMatchObject({ steps: 1, turns: 1, waiting: [] });
  });

  it('that can be neither started nor withdrawn is told that it goes on, and ends later', async () => {
    const { model, completions, first, sessionId, sbp } = await busy({ maxSessionBytes: 400 });
    let refusals = 1;
    stage.backend.log.obstacle = ([{ type }]) =>
      type === 'turn.withdrawn' && refusals-- > 0
        ? Promise.reject(new Error('away'))
        : Promise.resolve();
    const second = completions.turn({ sbp, text: 'Two.', bytes: 390 });
    await waiting(sessionId, 1);
    await model.goOn(0);
    expect((await second).failure?.headers()).toEqual({ 'x-should-retry': 'false' });
    expect(completions.problems).toEqual([expect.stringMatching(/not withdrawn yet: .*away/)]);
    await first;
    expect(await stateOf(sessionId)).toMatchObject({ steps: 1, turns: 2, waiting: [] });
  });

  it('is started by the scan where its poke is lost', async () => {
    const { model, completions, first, sessionId, sbp } = await busy();
    const second = completions.turn({ sbp, text: 'Two.' });
    await waiting(sessionId, 1);
    stage.backend.pokes = false;
    await model.goOn(0);
    await model.goOn(1);
    expect((await second).seen).toEqual(['answer with sbp']);
    await first;
  });
});

describe('a turn that waits', () => {
  it('tells its caller that it was withdrawn, though the poke was lost', async () => {
    const { model, completions, first, sessionId, sbp } = await busy();
    const second = completions.turn({ sbp, text: 'Two.' });
    const [turnId = ''] = await waiting(sessionId, 1);
    stage.backend.pokes = false;
    await completions.get(Cancellation).cancel(sessionId, await stateOf(sessionId), turnId, by);
    expect((await second).seen).toEqual(['fail SBP_TURN_CANCELLED']);
    await model.goOn(0);
    await first;
  });

  // [SBP-L1-77]
  it('is started by another process where its holder has died', async () => {
    const model = new TestModel();
    const completions = await stage.start({ model });
    const { session } = await completions.turn();
    const sessionId = session?.sessionId ?? '';
    const dead = await DeadProcess.on(stage.backend);
    const turn = randomUUID();
    const { address: holder } = dead.process;
    await stage.backend.append(turnQueued({ session: sessionId, turn, holder }));
    await eventually(async () => {
      expect(await stage.backend.sessions.turn(sessionId, turn)).toMatchObject({
        status: 'completed',
        messages: [{ role: 'user', content: 'And then?' }],
      });
    });
    expect(model.asked).toHaveLength(2);
  });

  it('that is too large is ended as failed where nobody waits for it', async () => {
    const model = new TestModel();
    const completions = await stage.start({ model, options: { maxSessionBytes: 150 } });
    const { session } = await completions.turn();
    const sessionId = session?.sessionId ?? '';
    const dead = await DeadProcess.on(stage.backend);
    const turn = randomUUID();
    const { address: holder } = dead.process;
    const queued = turnQueued({ session: sessionId, turn, holder });
    await stage.backend.append({ ...queued, data: { ...queued.data, bytes: 140 } });
    await eventually(async () => {
      expect(await stage.backend.sessions.turn(sessionId, turn)).toMatchObject({
        status: 'failed',
        error: { code: 'SBP_PAYLOAD_TOO_LARGE' },
      });
    });
  });

  it('may be withdrawn, and its caller is told', async () => {
    const { model, completions, first, sessionId, sbp } = await busy();
    const second = completions.turn({ sbp, text: 'Two.' });
    const [turnId = ''] = await waiting(sessionId, 1);
    const cancellation = completions.get(Cancellation);
    expect(await cancellation.cancel(sessionId, await stateOf(sessionId), turnId, by)).toEqual({
      turnId,
      status: 'cancelled',
    });
    expect((await second).seen).toEqual(['fail SBP_TURN_CANCELLED']);
    await model.goOn(0);
    await first;
    expect(await stateOf(sessionId)).toMatchObject({ steps: 1, messages: 2 });
    expect(model.asked).toHaveLength(1);
  });

  it('ends with its caller where he wanted that', async () => {
    const { model, completions, first, sessionId, sbp } = await busy();
    const caller = new TestCaller();
    const wish = { ...sbp, on_disconnect: 'cancel' };
    const second = completions.turn({ sbp: wish, text: 'Two.' }, caller);
    const [turnId = ''] = await waiting(sessionId, 1);
    caller.leave();
    await second;
    expect(await stage.backend.sessions.attempt(sessionId, turnId)).toMatchObject({
      status: 'cancelled',
    });
    await model.goOn(0);
    await first;
  });

  it('that was withdrawn while it was started says nothing to its caller but that', async () => {
    const { model, completions, first, sessionId, sbp } = await busy();
    const caller = new TestCaller();
    const second = completions.turn({ sbp, text: 'Two.', stream: true }, caller);
    const [turnId = ''] = await waiting(sessionId, 1);
    // Between the claim and the start.
    stage.backend.log.obstacle = async (events) => {
      if (events[0].type !== 'turn.started' || events[0].turn_id !== turnId) return;
      stage.backend.log.obstacle = () => Promise.resolve();
      const message = 'No more.';
      const { sessionLog } = stage.backend;
      const error = { code: 'SBP_TURN_CANCELLED', message };
      await sessionLog.executeAndFold(
        {
          sessionId,
          state: await stage.backend.sessions.state(sessionId),
          by,
          command: { type: 'WithdrawTurn', turnId, error, caller: 'connected' },
        },
        60_000,
      );
    };
    await model.goOn(0);
    await second;
    expect(caller.seen).toEqual(['fail SBP_TURN_CANCELLED']);
    await first;
  });
});

// [SBP-L1-61]
describe('a request in the background', () => {
  it('is answered 202 at once with the turn’s id, and its answer waits in the session', async () => {
    const model = new HeldModel();
    const completions = await stage.start({ model });
    const caller = new TestCaller();
    const running = completions.turn({ sbp: { background: true } }, caller);
    await eventually(() => expect(caller.seen).toEqual(['answer 202']));
    const { session_id: sessionId, turn_id: turnId, ...rest } = sbpOf(caller);
    expect(rest).toMatchObject({ resume_available: false });
    await model.goOn(0);
    await running;
    const turn = await eventually(async () => {
      const found = await stage.backend.sessions.turn(String(sessionId), String(turnId));
      expect(found).toMatchObject({ status: 'completed' });
      return found;
    });
    expect(turn?.output).toMatchObject([{ content: 'Answer 1.' }]);
    expect(await stateOf(String(sessionId))).toMatchObject({ head: 1 });
  });

  it('waits for those before it, and has been answered long before', async () => {
    const { model, completions, first, sessionId, sbp } = await busy();
    const caller = new TestCaller();
    const second = completions.turn({ sbp: { ...sbp, background: true } }, caller);
    await eventually(() => expect(caller.seen).toEqual(['answer 202']));
    expect(await waiting(sessionId, 1)).toEqual([sbpOf(caller)['turn_id']]);
    await model.goOn(0);
    await model.goOn(1);
    await Promise.all([first, second]);
    expect(caller.seen).toEqual(['answer 202']);
    expect(await stateOf(sessionId)).toMatchObject({ steps: 2, head: 1 });
  });

  it('is run by another process where the one that answered it ends', async () => {
    const { completions, first, sessionId, sbp } = await busy();
    const caller = new TestCaller();
    const second = completions.turn({ sbp: { ...sbp, background: true }, text: 'Two.' }, caller);
    await waiting(sessionId, 1);
    const model = new TestModel();
    await stage.start({ model });
    await completions.stop();
    await Promise.all([first, second]);
    await eventually(async () => {
      expect(await stateOf(sessionId)).toMatchObject({ steps: 2, waiting: [] });
    });
    expect(model.asked).toHaveLength(2);
  });
});

// [SBP-L1-63]
describe('a turn that interrupts', () => {
  const interrupt = { on_conflict: 'interrupt' };

  it('ends the one that runs and those that wait, and tells their callers', async () => {
    const { model, completions, first, sessionId, sbp } = await busy();
    const second = completions.turn({ sbp, text: 'Two.' });
    await waiting(sessionId, 1);
    const third = completions.turn({ sbp: { ...sbp, ...interrupt }, text: 'Three.' });
    expect((await first).seen).toEqual(['fail SBP_TURN_CANCELLED']);
    expect((await second).seen).toEqual(['fail SBP_TURN_CANCELLED']);
    await model.goOn(1);
    expect((await third).seen).toEqual(['answer with sbp']);
    expect(model.questions).toEqual(['One.', 'Three.']);
    expect(await stateOf(sessionId)).toMatchObject({ steps: 1, turns: 3, waiting: [] });
  });

  it('leaves a word that the one it ended is still to be told, in case of a death', async () => {
    const { model, completions, first, sessionId, sbp } = await busy();
    const running = await stateOf(sessionId);
    const marks: (readonly string[])[] = [];
    const inspection = new SessionInspection(stage.backend.database);
    const marked = async () => (await inspection.inspect(sessionId, 0)).claim?.unconfirmed ?? [];
    stage.backend.log.obstacle = async ([{ type }]) => {
      if (type === 'turn.cancelled') marks.push(await marked());
    };
    const interrupting = completions.turn({ sbp: { ...sbp, ...interrupt } });
    await model.goOn(1);
    await interrupting;
    expect(marks).toEqual([[running.turn?.turnId]]);
    expect((await first).seen).toEqual(['fail SBP_TURN_CANCELLED']);
    await eventually(async () => expect(await marked()).toEqual([]));
  });

  it('and is itself interrupted while it reads the session is told so', async () => {
    const { model, completions, sessionId } = await busy();
    const sbp = { session_id: sessionId, ...interrupt };
    const other = await stage.start({ model });
    const conversations = other.get(Conversations);
    const goOn = conversations.goOn.bind(conversations);
    const [reading, readOn] = [0, 0].map(() => Promise.withResolvers<undefined>());
    vi.spyOn(conversations, 'goOn').mockImplementationOnce(async (...args) => {
      reading?.resolve(undefined);
      await readOn?.promise;
      return goOn(...args);
    });
    const second = other.turn({ sbp, text: 'Two.' });
    await reading?.promise;
    const third = completions.turn({ sbp, text: 'Three.' });
    await model.goOn(1);
    expect((await third).seen).toEqual(['answer with sbp']);
    await stateOf(sessionId);
    readOn?.resolve(undefined);
    expect((await second).seen).toEqual(['fail SBP_TURN_CANCELLED']);
  });

  it('aborts the call of the model in another process', async () => {
    const { first, sessionId } = await busy();
    const other = await stage.start({ model: new TestModel() });
    const third = await other.turn({ sbp: { session_id: sessionId, ...interrupt } });
    expect(third.seen).toEqual(['answer with sbp']);
    expect((await first).seen).toEqual(['fail SBP_TURN_CANCELLED']);
  });

  it('tells whom it ended before the log had his start, also where its word to him is lost', async () => {
    const { model, completions, first, sbp } = await busy();
    const mute = { stop: () => Promise.resolve({ caller: 'gone', usage: null }) };
    const other = await stage.start({ model, replaced: [{ part: RunStops, by: () => mute }] });
    const starts = Promise.withResolvers<undefined>();
    let held = 0;
    stage.backend.log.obstacle = async ([{ type }]) => {
      if (type === 'turn.started' && held++ === 0) await starts.promise;
    };
    const second = completions.turn({ sbp: { ...sbp, ...interrupt }, text: 'Two.' });
    await eventually(() => expect(held).toBe(1));
    const third = other.turn({ sbp: { ...sbp, ...interrupt }, text: 'Three.' });
    await eventually(() => expect(model.questions).toContain('Three.'));
    await eventually(() => expect(held).toBe(2));
    starts.resolve(undefined);
    expect((await second).seen).toEqual(['fail SBP_TURN_CANCELLED']);
    expect((await first).seen).toEqual(['fail SBP_TURN_CANCELLED']);
    await model.goOn(model.questions.indexOf('Three.'));
    expect((await third).seen).toEqual(['answer with sbp']);
  });

  it('runs as the last of many at once, and each other caller is told', async () => {
    const { model, completions, first, sessionId, sbp } = await busy();
    const other = await stage.start({ model });
    model.answer = neverAnswer;
    const callers = Array.from({ length: 12 }, () => new TestCaller());
    const turns = callers.map((caller, at) => {
      return [completions, other][at % 2]?.turn({ sbp: { ...sbp, ...interrupt } }, caller);
    });
    await eventually(() => {
      const told = callers.filter(({ seen }) => seen.includes('fail SBP_TURN_CANCELLED'));
      expect(told).toHaveLength(11);
    });
    model.answer = () => answerWith('At last.');
    await completions.turn({ sbp: { ...sbp, ...interrupt } });
    await Promise.all([first, ...turns]);
    expect(await stateOf(sessionId)).toMatchObject({ steps: 1, turn: null, waiting: [] });
  });

  it('starts as any other where nothing runs', async () => {
    const completions = await stage.start({ model: new TestModel() });
    await completions.turn();
    const { seen } = await completions.turn({ sbp: interrupt });
    expect(seen).toEqual(['answer with sbp']);
  });
});
