import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { OpenCall, OpenSession } from '#libs/domain';
import {
  ATTACH,
  CALL,
  OTHER_ATTACH,
  SESSION,
  TURN,
  surfaceAttached,
  surfaceDetached,
  toolDecided,
  toolReturned,
  toolsCalled,
  turnParked,
} from '#libs/domain/testing';
import type { Actor, SbpParked } from '#libs/protocol';
import { DeadProcess } from '../testing/dead-process.js';
import { TestCaller } from '../testing/test-caller.js';
import type { TestCompletions } from '../testing/test-completions.js';
import { TestModel, answerWith, callWith } from '../testing/test-model.js';
import { eventually, useStage } from '../testing/test-stage.js';
import { Cancellation } from '../turn/cancellation.js';
import { Approvals } from './approvals.js';

const stage = useStage();
const by: Actor = { principal: 'anonymous', via: 'http' };
const GPS = { mcp_tools: ['gps'] };
const DAY_MS = 86_400_000;

let model: TestModel;
let session: string;

beforeEach(() => {
  model = new TestModel();
  model.answer = () => (model.asked.length === 1 ? callWith('surface_gps') : answerWith('Here.'));
});
afterEach(() => vi.useRealTimers());

async function state(): Promise<OpenSession> {
  const found = await stage.backend.sessions.state(session);
  if (found.phase !== 'open') throw new Error('it is not open');
  return found;
}
async function firstCall(): Promise<OpenCall> {
  const [call] = (await state()).calls;
  if (call === undefined) throw new Error('no call is open');
  return call;
}
/** What the model was told last. */
const told = () => model.asked.at(-1)?.messages.at(-1)?.content;

function attach(attachId = ATTACH, context: object = GPS): Promise<number> {
  const at = new Date().toISOString();
  return stage.backend.append(surfaceAttached(attachId, { session, context, at }));
}
function detach(attachId = ATTACH): Promise<number> {
  const at = new Date().toISOString();
  return stage.backend.append(surfaceDetached(attachId, { session, at }));
}
const answerCall = (callId: string) =>
  stage.backend.append(toolReturned(callId, { session, result: 'At home.' }));

/** A session with a surface that has `gps`. */
async function opened(): Promise<TestCompletions> {
  const completions = await stage.start({ model, options: { othersDead: true } });
  const caller = new TestCaller();
  model.answer = () => answerWith('Hello.');
  await completions.turn({}, caller);
  session = caller.session?.sessionId ?? '';
  model.asked.length = 0;
  model.answer = () => (model.asked.length === 1 ? callWith('surface_gps') : answerWith('Here.'));
  await attach();
  return completions;
}

/** A turn whose call waits for an approval. */
async function asked(more: object = {}, stream = false) {
  const completions = await opened();
  const sbp = { session_id: session, approve: ['gps'], ...more };
  const caller = await completions.turn({ sbp, stream, text: 'Where am I?' });
  return { completions, caller };
}

/** A turn whose call waits for a device, because its surface went. */
async function left(more: object = {}) {
  const completions = await opened();
  const sbp = { session_id: session, on_surface_lost: 'wait', ...more };
  const running = completions.turn({ sbp, text: 'Where am I?' });
  await eventually(async () => expect((await state()).calls).toHaveLength(1));
  await detach();
  return { completions, caller: await running };
}

async function approve(completions: TestCompletions, approved = true): Promise<void> {
  const { callId } = await firstCall();
  const decision = { callId, approved, reason: approved ? null : 'Not now.' };
  await completions.get(Approvals).decide(session, await state(), decision, by);
}

async function completed(): Promise<void> {
  await eventually(async () => {
    expect(await state()).toMatchObject({ turn: null, steps: 2, head: 1, calls: [] });
  });
}

const heldBy = async () => (await stage.backend.claims.inspect(session))?.turnId ?? null;

// [SBP-L5-14]
describe('a turn whose calls all wait', () => {
  it('is parked: its caller is told what it waits for, and nothing is held', async () => {
    const { caller } = await asked();
    expect(caller.seen).toEqual(['answer 202']);
    const { turn, calls } = await state();
    const { sbp } = caller.body as unknown as { readonly sbp: SbpParked };
    expect(sbp).toEqual({
      session_id: session,
      session_token: caller.session?.sessionToken,
      turn_id: turn?.turnId,
      resume_available: false,
      pending_calls: [
        {
          call_id: calls[0]?.callId,
          tool_name: 'gps',
          tool_input: {},
          waits_for: 'approval',
          expires_at: calls[0]?.deadline,
        },
      ],
    });
    expect(await heldBy()).toBeNull();
    await eventually(async () => {
      const stored = await stage.backend.sessions.turn(session, sbp.turn_id);
      expect(stored).toMatchObject({ status: 'parked' });
    });
  });

  it('tells the caller of a stream by an error, behind what was said', async () => {
    const { caller } = await asked({}, true);
    expect(caller.seen.at(-1)).toBe('fail SBP_TURN_PENDING');
    expect(caller.failure?.detail).toMatchObject({ pending_calls: [{ tool_name: 'gps' }] });
  });

  it('is told to repeats of its request', async () => {
    const { completions } = await asked();
    const { turn } = await state();
    const key = { type: 'key', key: 'k' } as const;
    model.asked.length = 0;
    const cancelled = await completions.get(Cancellation).cancel(session, await state(), null, by);
    expect(cancelled).toEqual({ turnId: turn?.turnId, status: 'cancelled' });
    const sbp = { session_id: session, approve: ['gps'] };
    for (let times = 0; times < 2; times++) {
      const caller = await completions.turn({ sbp, repeat: key });
      expect(caller.seen).toEqual(['answer 202']);
      expect(caller.body).toMatchObject({ sbp: { pending_calls: [{ tool_name: 'gps' }] } });
    }
    expect(model.asked).toHaveLength(1);
  });

  it('keeps others of its session waiting, and ends for one that interrupts', async () => {
    const { completions } = await asked();
    const rejecting = { session_id: session, on_conflict: 'reject' };
    await expect(completions.turn({ sbp: rejecting })).rejects.toMatchObject({
      code: 'SBP_SESSION_CONFLICT',
    });
    const queued = completions.turn({ sbp: { session_id: session }, text: 'Next.' });
    await eventually(async () => expect((await state()).waiting).toHaveLength(1));
    const interrupting = { session_id: session, on_conflict: 'interrupt' };
    const caller = await completions.turn({ sbp: interrupting, text: 'At once.' });
    expect(caller.seen).toEqual(['answer with sbp']);
    expect((await queued).seen).toEqual(['fail SBP_TURN_CANCELLED']);
  });
});

// [SBP-L5-13]
describe('a call that needs an approval', () => {
  it('leaves when a human allows it, and its answer waits in the session', async () => {
    const { completions } = await asked();
    await approve(completions);
    const { callId, place } = await firstCall();
    expect(place).toEqual({ type: 'surface', attachId: ATTACH });
    await eventually(async () => {
      expect((await state()).turn).toMatchObject({ parked: false, adoptions: 0 });
    });
    await answerCall(callId);
    await completed();
    expect(told()).toBe('At home.');
  });

  it('is told to the model as denied where he does not', async () => {
    const { completions } = await asked();
    await approve(completions, false);
    await completed();
    expect(told()).toBe('{"error":"denied: Not now."}');
  });

  it('is decided once: of several at once, one counts', async () => {
    const { completions } = await asked();
    const { callId } = await firstCall();
    const now = await state();
    const decide = (approved: boolean) =>
      completions.get(Approvals).decide(session, now, { callId, approved, reason: null }, by);
    const results = await Promise.allSettled([decide(true), decide(false), decide(true)]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
    await expect(decide(true)).rejects.toMatchObject({ code: 'SBP_SESSION_CONFLICT' });
    const nobody = { callId: CALL, approved: true, reason: null };
    await expect(completions.get(Approvals).decide(session, now, nobody, by)).rejects.toMatchObject(
      { code: 'SBP_SESSION_NOT_FOUND' },
    );
  });

  it('that is decided while its turn is being parked lets the turn go on', async () => {
    const parking: string[] = [];
    stage.backend.log.obstacle = async ([{ type }]) => {
      if (type !== 'turn.parked' || parking.length > 0) return;
      parking.push(type);
      const { callId } = await firstCall();
      await stage.backend.append(toolDecided(callId, false, { session }));
    };
    const { caller } = await asked();
    expect(caller.seen).toEqual(['answer 202']);
    await completed();
    expect(parking).toHaveLength(1);
  });
});

// [SBP-L5-12]
describe('a call that may wait for a device', () => {
  it('goes to the next surface that has its tool, a day later and in another process', async () => {
    const { completions, caller } = await left({ wait_seconds: 2 * 86_400 });
    expect(caller.body).toMatchObject({ sbp: { pending_calls: [{ waits_for: 'device' }] } });
    const { callId } = await firstCall();
    await completions.stop();
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + DAY_MS });
    await stage.start({ model, options: { othersDead: true } });
    await attach(OTHER_ATTACH);
    expect(await firstCall()).toMatchObject({ callId, place: { attachId: OTHER_ATTACH } });
    await answerCall(callId);
    await completed();
    expect(told()).toBe('At home.');
    expect(await stage.types(session)).toEqual(
      expect.arrayContaining(['tools.called', 'turn.parked', 'turn.adopted', 'turn.completed']),
    );
  });

  it('is given up when it has waited for its time', async () => {
    await left();
    const { turn } = await state();
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + DAY_MS + 1_000 });
    await completed();
    expect(told()).toBe('{"error":"timeout"}');
    expect(turn).not.toBeNull();
  });

  it('parks its turn again where no surface has it', async () => {
    await left();
    await attach(OTHER_ATTACH, { mcp_tools: ['camera'] });
    const { callId, place } = await firstCall();
    expect(place).toEqual({ type: 'device' });
    await attach();
    await answerCall(callId);
    await completed();
  });
});

// [SBP-L5-11]
it('a turn whose runner died when it had parked it is left parked, and nothing is held', async () => {
  session = SESSION;
  const dead = await DeadProcess.on(stage.backend);
  const epoch = await dead.start(SESSION, TURN);
  const at = new Date().toISOString();
  await stage.backend.append(
    surfaceAttached(ATTACH, { session, context: GPS, at }),
    toolsCalled(epoch, { session, at, needsApproval: true }),
    turnParked(epoch, { session, at }),
  );
  model.answer = () => answerWith('Then not.');
  await stage.start({ model, options: { othersDead: true } });
  await eventually(async () => {
    expect(await heldBy()).toBeNull();
    expect((await state()).turn).toMatchObject({ parked: true, adoptions: 0 });
  });
  expect(model.asked).toEqual([]);
  await stage.backend.append(toolDecided(CALL, false, { session, at: new Date().toISOString() }));
  await eventually(async () => expect(await state()).toMatchObject({ turn: null, steps: 1 }));
});
