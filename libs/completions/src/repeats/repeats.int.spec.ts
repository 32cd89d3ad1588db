import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { TurnKeys, bodyName, idempotencyName } from '#libs/store';
import { sessionOpened, turnStarted } from '#libs/domain/testing';
import { DeadProcess } from '../testing/dead-process.js';
import { TestCaller } from '../testing/test-caller.js';
import type { TestCompletions } from '../testing/test-completions.js';
import { TestModel, answerWith, refuseWith } from '../testing/test-model.js';
import type { RequestDetails } from '../testing/test-request.js';
import { eventually, useStage } from '../testing/test-stage.js';

const stage = useStage();

const KEYED = { repeat: { type: 'key', key: 'a key' } } as const satisfies RequestDetails;
const again = (count: number): RequestDetails => ({ repeat: { type: 'count', count } });
const HASH = '0'.repeat(64);
const scope = { principal: 'anonymous', agentId: 'agent' };
const NAMED = { ...scope, name: idempotencyName('a key') };
const BY_BODY = { ...scope, name: bodyName(`${HASH}:`) };

/** A model that answers when it is told to. */
function held(model: TestModel) {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  model.answer = async () => {
    await promise;
    return answerWith('At last.');
  };
  return () => resolve(undefined);
}

const started = (model = new TestModel()) => stage.start({ model });

function contentOf({ body }: TestCaller): unknown {
  const choices = body?.['choices'] as readonly {
    readonly message: { readonly content: unknown };
  }[];
  return choices[0]?.message.content;
}

function turnIdOf({ body }: TestCaller): unknown {
  return (body?.['sbp'] as Record<string, unknown> | undefined)?.['turn_id'];
}

/** A process that took the key and died, with what it did before that. */
async function deadHolder(bound: string | null, turnId: string): Promise<DeadProcess> {
  const dead = await DeadProcess.on(stage.backend);
  const keys = new TurnKeys(stage.backend.database);
  await keys.take(NAMED, { turnId, bodyHash: HASH, holder: dead.incarnation });
  if (bound !== null) await keys.bind(NAMED, turnId, bound);
  return dead;
}

async function running(completions: TestCompletions, details: RequestDetails) {
  const caller = new TestCaller();
  const turn = completions.turn(details, caller);
  await eventually(async () => expect(await stage.types()).toContain('turn.started'));
  return { caller, turn };
}

// [SBP-L1-64]
describe('a request with a key', () => {
  it('that is repeated gets the answer of the first, on any replica, and is not run again', async () => {
    const model = new TestModel();
    const [one, other] = [await started(model), await started(model)];
    const first = await one.turn(KEYED);
    const repeats = [await one.turn(KEYED), await other.turn(KEYED)];
    for (const repeat of repeats) {
      expect(repeat.seen).toEqual(['answer with sbp']);
      expect(contentOf(repeat)).toBe(contentOf(first));
      expect(turnIdOf(repeat)).toBe(turnIdOf(first));
    }
    expect(model.asked).toHaveLength(1);
  });

  it('that is repeated while it runs joins it, from the start of the stream', async () => {
    const model = new TestModel();
    const goOn = held(model);
    const [one, other] = [await started(model), await started(model)];
    const { turn } = await running(one, KEYED);
    const callers = Array.from({ length: 6 }, () => new TestCaller());
    const joined = callers.map((caller, at) =>
      [one, other][at % 2]?.turn({ ...KEYED, stream: at % 3 === 0 }, caller),
    );
    goOn();
    await Promise.all([turn, ...joined]);
    for (const [at, { seen }] of callers.entries()) {
      expect(seen).toEqual(
        at % 3 === 0 ? ['begin', 'chunk', 'chunk', 'finish', 'sbp', 'done'] : ['answer with sbp'],
      );
    }
    expect(model.asked).toHaveLength(1);
  });

  it('is refused with 422 where its body is another', async () => {
    const completions = await started();
    await completions.turn(KEYED);
    const other = completions.turn({ ...KEYED, bodyHash: '1'.repeat(64) });
    const refusal = await other.catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: 'SBP_INVALID_REQUEST', param: 'Idempotency-Key' });
    expect((refusal as { status: (path: string) => number }).status('completions')).toBe(422);
  });

  it('is another one for another agent', async () => {
    const model = new TestModel();
    const completions = await started(model);
    await completions.turn(KEYED);
    await completions.turn({ ...KEYED, agentId: 'another' });
    expect(model.asked).toHaveLength(2);
  });

  it('repeats the failure that the model answered with, status and body', async () => {
    const model = new TestModel();
    const completions = await started(model);
    model.answer = () => refuseWith(400);
    const callers = [await completions.turn(KEYED), await completions.turn(KEYED)];
    for (const { seen } of callers) expect(seen).toEqual(['relay']);
    expect(model.asked).toHaveLength(1);
  });

  it('is run again where the model has not seen it', async () => {
    const model = new TestModel();
    const completions = await started(model);
    const refused = Object.assign(new Error('nobody is there'), { code: 'ECONNREFUSED' });
    for (const [error, then] of [
      [refused, 'answer with sbp'],
      // Nobody knows whether the model has seen it.
      [new Error('it broke off'), 'fail SBP_UPSTREAM_UNAVAILABLE'],
    ] as const) {
      model.answer = () => Promise.reject(error);
      const keyed: RequestDetails = { repeat: { type: 'key', key: error.message } };
      expect((await completions.turn(keyed)).seen).toEqual(['fail SBP_UPSTREAM_UNAVAILABLE']);
      model.answer = () => answerWith('Now.');
      expect((await completions.turn(keyed)).seen).toEqual([then]);
    }
  });

  it('that was refused before it began is free again', async () => {
    const completions = await started();
    const sbp = { session_id: randomUUID() };
    await expect(completions.turn({ ...KEYED, sbp })).rejects.toMatchObject({
      code: 'SBP_SESSION_NOT_FOUND',
    });
    expect((await completions.turn({ ...KEYED, bodyHash: '1'.repeat(64) })).seen).toEqual([
      'answer with sbp',
    ]);
  });

  it('is taken over from a process that died before it had a session', async () => {
    const completions = await started();
    await deadHolder(null, randomUUID());
    expect((await completions.turn(KEYED)).seen).toEqual(['answer with sbp']);
  });

  it('is taken over from a process that died before its turn began, and that never begins', async () => {
    const completions = await started();
    const { session } = await completions.turn();
    const sessionId = session?.sessionId ?? '';
    const turnId = randomUUID();
    const dead = await deadHolder(sessionId, turnId);
    const epoch = await dead.claim(sessionId, turnId);
    const sbp = { session_id: sessionId };
    expect((await completions.turn({ ...KEYED, sbp })).seen).toEqual(['answer with sbp']);
    // Its process was not dead after all.
    const late = turnStarted(epoch + 10, { session: sessionId, turn: turnId, after: 2 });
    await stage.backend.append(late);
    expect(await stage.backend.sessions.attempt(sessionId, turnId)).toBeNull();
  });

  it('is taken over from a process that died before its session was opened', async () => {
    const completions = await started();
    const [sessionId, turnId] = [randomUUID(), randomUUID()];
    const dead = await deadHolder(sessionId, turnId);
    const epoch = await dead.open(sessionId, turnId);
    const { session, seen } = await completions.turn({
      ...KEYED,
      sbp: { force_new_session: true },
    });
    expect(seen).toEqual(['answer with sbp']);
    expect(session?.sessionId).not.toBe(sessionId);
    await stage.backend.append(
      sessionOpened(epoch, { session: sessionId }),
      turnStarted(epoch, { session: sessionId, turn: turnId }),
    );
    expect(await stage.backend.sessions.state(sessionId)).toMatchObject({ phase: 'unopened' });
  });

  it('gets the answer of a turn whose process died while it ran', async () => {
    const model = new TestModel();
    const completions = await started(model);
    const [sessionId, turnId] = [randomUUID(), randomUUID()];
    const dead = await deadHolder(sessionId, turnId);
    await dead.start(sessionId, turnId);
    const caller = await completions.turn(KEYED);
    expect(caller.seen).toEqual(['answer with sbp']);
    expect(turnIdOf(caller)).toBe(turnId);
    expect(model.asked).toHaveLength(1);
  });

  it('is free again where its turn was interrupted before it began', async () => {
    const model = new TestModel();
    const completions = await started(model);
    const { session } = await completions.turn();
    const sbp = { session_id: session?.sessionId };
    stage.backend.log.obstacle = async ([{ type }]) => {
      if (type !== 'turn.started') return;
      stage.backend.log.obstacle = () => Promise.resolve();
      await completions.turn({ sbp: { ...sbp, on_conflict: 'interrupt' } });
    };
    const interrupted = await completions.turn({ ...KEYED, sbp });
    expect(interrupted.seen).toEqual(['fail SBP_TURN_CANCELLED']);
    expect((await completions.turn({ ...KEYED, sbp })).seen).toEqual(['answer with sbp']);
  });

  it('in the background is answered with the same turn', async () => {
    const model = new TestModel();
    const completions = await started(model);
    const sbp = { background: true };
    const first = await completions.turn({ ...KEYED, sbp });
    const second = await completions.turn({ ...KEYED, sbp });
    expect([first.seen, second.seen]).toEqual([['answer 202'], ['answer 202']]);
    expect(turnIdOf(second)).toBe(turnIdOf(first));
    expect(model.asked).toHaveLength(1);
  });
});

// [SBP-L1-79]
describe('a client that repeats by itself', () => {
  it('gets the answer that it did not wait for', async () => {
    const model = new TestModel();
    const goOn = held(model);
    const completions = await started(model);
    const { caller, turn } = await running(completions, again(0));
    caller.leave();
    const repeat = completions.turn(again(1));
    goOn();
    await turn;
    expect(contentOf(await repeat)).toBe('At last.');
    expect(model.asked).toHaveLength(1);
  });

  it('begins a turn of its own where it had its answer', async () => {
    const model = new TestModel();
    const completions = await started(model);
    await completions.turn(again(0));
    await eventually(async () => {
      const key = await new TurnKeys(stage.backend.database).find(BY_BODY, 60_000);
      expect(key).toMatchObject({ caller: 'answered' });
    });
    await completions.turn(again(1));
    expect(model.asked).toHaveLength(2);
  });

  it('begins a turn of its own where nobody has asked the same', async () => {
    const model = new TestModel();
    const completions = await started(model);
    await completions.turn(again(0));
    await completions.turn({ ...again(2), bodyHash: '1'.repeat(64) });
    expect(model.asked).toHaveLength(2);
  });

  it('gets the answer of a turn whose process died, once that is known', async () => {
    const model = new TestModel();
    const completions = await started(model);
    const [sessionId, turnId] = [randomUUID(), randomUUID()];
    const dead = await DeadProcess.on(stage.backend);
    const keys = new TurnKeys(stage.backend.database);
    const { incarnation: holder } = dead;
    await keys.record(BY_BODY, { turnId, bodyHash: HASH, holder }, sessionId);
    await dead.start(sessionId, turnId);
    const caller = await completions.turn(again(1));
    expect(turnIdOf(caller)).toBe(turnId);
    expect(model.asked).toHaveLength(1);
  });
});
