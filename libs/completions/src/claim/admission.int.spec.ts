import { describe, expect, it } from 'vitest';
import { UpstreamUnavailable } from '#libs/llm';
import type { SbpError } from '#libs/protocol';
import type { CompletionsOptions } from '../completions-options.js';
import { Shutdown } from '../shutdown.js';
import { TestCaller } from '../testing/test-caller.js';
import { TestModel, answerWith, neverAnswer, refuseWith } from '../testing/test-model.js';
import { eventually, useStage } from '../testing/test-stage.js';

const stage = useStage();

async function withModel(options: Partial<CompletionsOptions> = {}) {
  const model = new TestModel();
  return { model, completions: await stage.assemble({ model, options }) };
}

/** A model that answers when it is told to. */
function heldModel(model: TestModel): { readonly goOn: () => void } {
  const held = Promise.withResolvers<undefined>();
  model.answer = async () => {
    await held.promise;
    return answerWith('At last.');
  };
  return { goOn: () => held.resolve(undefined) };
}

/** What the caller of a turn that is refused is told. */
async function refusal(turn: Promise<unknown>) {
  const error = await turn.then(
    () => Promise.reject(new Error('it was let in')),
    (reason: unknown) => reason as SbpError,
  );
  return told(error);
}

function told(error: SbpError) {
  return { status: error.status('completions'), headers: error.headers() };
}

const TURNED_AWAY = { status: 429, headers: { 'retry-after': '1' } };
const UNAVAILABLE = { status: 503, headers: { 'retry-after': '1' } };
const ANOTHER = { force_new_session: true };

describe('turns of one principal beyond his bound', () => {
  it('are turned away with 429, and those of others are not', async () => {
    const { completions, model } = await withModel({ maxPrincipalTurns: 1 });
    const { goOn } = heldModel(model);
    const of = (principal: string) => {
      return completions.turn({ sbp: ANOTHER, credential: { principal } });
    };
    const ann = of('ann');
    await eventually(() => expect(model.asked).toHaveLength(1));
    expect(await refusal(of('ann'))).toEqual(TURNED_AWAY);
    const bob = of('bob');
    await eventually(() => expect(model.asked).toHaveLength(2));
    goOn();
    await Promise.all([ann, bob]);
    expect((await of('ann')).seen).toEqual(['answer with sbp']);
  });
});

describe('turns beyond the bound', () => {
  it('are turned away with 429 and Retry-After until one has ended', async () => {
    const { completions, model } = await withModel({ maxTurns: 2 });
    const { goOn } = heldModel(model);
    const running = [completions.turn({ sbp: ANOTHER }), completions.turn({ sbp: ANOTHER })];
    await eventually(() => expect(model.asked).toHaveLength(2));
    expect(await refusal(completions.turn({ sbp: ANOTHER }))).toEqual(TURNED_AWAY);
    expect(model.asked).toHaveLength(2);
    goOn();
    await Promise.all(running);
    await completions.turn({ sbp: ANOTHER });
  });

  it.each<[string, (model: TestModel) => void]>([
    ['complete', () => undefined],
    ['are refused by the model', (model) => (model.answer = () => refuseWith(500))],
    [
      'cannot reach the model',
      (model) => (model.answer = () => Promise.reject(new UpstreamUnavailable('it is away'))),
    ],
    [
      'throw',
      () => {
        stage.backend.log.obstacle = ([{ type }]) =>
          type === 'turn.completed' ? Promise.reject(new Error('a fault')) : Promise.resolve();
      },
    ],
    [
      'cannot be started',
      () => (stage.backend.log.obstacle = () => Promise.reject(new Error('a fault'))),
    ],
  ])('find room again when those before them %s', async (_how, prepare) => {
    const { completions, model } = await withModel({ maxTurns: 1 });
    prepare(model);
    for (let turn = 1; turn <= 3; turn++) {
      const { seen } = await completions.turn({ sbp: ANOTHER });
      expect(seen).toHaveLength(1);
    }
  });

  it('find room again when those before them were refused, or nobody waited for them', async () => {
    const { completions, model } = await withModel({ maxTurns: 1 });
    const session_id = '3f2504e0-4f89-41d3-9a0c-0305e82c3301';
    await expect(completions.turn({ sbp: { session_id } })).rejects.toMatchObject({
      code: 'SBP_SESSION_NOT_FOUND',
    });
    const caller = new TestCaller();
    caller.connected = false;
    await completions.turn({}, caller);
    expect(model.asked).toEqual([]);
    await completions.turn();
    expect(model.asked).toHaveLength(1);
  });
});

describe('bytes beyond the bound', () => {
  it('are turned away with 429 and Retry-After until there is room', async () => {
    const { completions, model } = await withModel({ maxBytes: 1_000 });
    const { goOn } = heldModel(model);
    const running = completions.turn({ sbp: ANOTHER, bytes: 600 });
    await eventually(() => expect(model.asked).toHaveLength(1));
    expect(await refusal(completions.turn({ sbp: ANOTHER, bytes: 600 }))).toEqual(TURNED_AWAY);
    goOn();
    await running;
    await completions.turn({ sbp: ANOTHER, bytes: 600 });
  });

  it('count the conversation, too, and the claim is let go', async () => {
    const { completions, model } = await withModel({ maxBytes: 1_000 });
    const { session } = await completions.turn({ text: 'x'.repeat(900), bytes: 950 });
    const sbp = { session_id: session?.sessionId };
    const { goOn } = heldModel(model);
    const running = completions.turn({ sbp: ANOTHER, bytes: 200 });
    await eventually(() => expect(model.asked).toHaveLength(2));
    expect(await refusal(completions.turn({ sbp, bytes: 10 }))).toEqual(TURNED_AWAY);
    const claim = await stage.backend.claims.inspect(session?.sessionId ?? '');
    expect(claim).toMatchObject({ turnId: null });
    goOn();
    await running;
    await completions.turn({ sbp, bytes: 10 });
  });

  it('of the only turn are let in, because it would be turned away for ever', async () => {
    const { completions } = await withModel({ maxBytes: 10 });
    await completions.turn({ bytes: 10_000 });
  });
});

describe('a log that is known to be down', () => {
  it('for a session lets nothing be begun in it, and no model be called', async () => {
    const { completions, model } = await withModel();
    const { session } = await completions.turn();
    const sessionId = session?.sessionId ?? '';
    const before = await stage.types();
    stage.backend.log.isDown = (id) => id === sessionId;
    for (const sbp of [{ session_id: sessionId }, {}]) {
      expect(await refusal(completions.turn({ sbp }))).toEqual(UNAVAILABLE);
    }
    expect(model.asked).toHaveLength(1);
    expect(await stage.types()).toEqual(before);
    expect(await stage.backend.claims.inspect(sessionId)).toMatchObject({ turnId: null });
    // New sessions are opened where the log works.
    await completions.turn({ sbp: ANOTHER });
    expect(model.asked).toHaveLength(2);
  });

  it('in a part finds another place for a new session', async () => {
    const { completions } = await withModel();
    stage.backend.log.isDown = (id) => !id.startsWith('0') && !id.startsWith('1');
    const { session } = await completions.turn();
    expect(session?.sessionId).toMatch(/^[01]/);
  });

  it('for all lets no session be opened', async () => {
    const { completions, model } = await withModel();
    stage.backend.log.isDown = () => true;
    expect(await refusal(completions.turn())).toEqual(UNAVAILABLE);
    expect(model.asked).toEqual([]);
  });
});

describe('a process that is shutting down', () => {
  const draining = { status: 503, headers: { 'retry-after': '1', 'x-sbp-draining': '1' } };

  it('begins nothing, and says so, so that a proxy asks another one', async () => {
    const { completions, model } = await withModel();
    await completions.get(Shutdown).onModuleDestroy();
    expect(await refusal(completions.turn())).toEqual(draining);
    expect(model.asked).toEqual([]);
    expect(await stage.types()).toEqual([]);
  });

  it('begins nothing either that waited for a busy session, and lets go who runs', async () => {
    const { completions, model } = await withModel({ drainMs: 60_000 });
    const { session } = await completions.turn();
    const sbp = { session_id: session?.sessionId };
    const { goOn } = heldModel(model);
    const running = completions.turn({ sbp });
    await eventually(() => expect(model.asked).toHaveLength(2));
    const waiting = completions.turn({ sbp });
    const sessionId = session?.sessionId ?? '';
    await eventually(async () => expect(await stage.types(sessionId)).toContain('turn.queued'));
    const closing = completions.get(Shutdown).onModuleDestroy();
    const { failure } = await waiting;
    expect(failure === null ? null : told(failure)).toEqual(draining);
    goOn();
    expect((await running).seen).toEqual(['answer with sbp']);
    await closing;
    expect(model.asked).toHaveLength(2);
    expect(await stage.backend.sessions.state(sessionId)).toMatchObject({ turns: 2, waiting: [] });
  });

  it('does not wait longer than it was given', async () => {
    const { completions, model } = await withModel({ drainMs: 0 });
    model.answer = neverAnswer;
    const running = completions.turn();
    await eventually(() => expect(model.asked).toHaveLength(1));
    await completions.get(Shutdown).onModuleDestroy();
    expect((await running).seen).toEqual(['fail SBP_UPSTREAM_UNAVAILABLE']);
  });
});
