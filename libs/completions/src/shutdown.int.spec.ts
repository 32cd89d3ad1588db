import { randomUUID } from 'node:crypto';
import { describe, expect, it, vi } from 'vitest';
import type { ModelRequest } from '#libs/llm';
import { Claims, Orphans, UnconfirmedAnswers } from '#libs/store';
import { DeadProcess } from './testing/dead-process.js';
import { TestCaller } from './testing/test-caller.js';
import { TestModel, answerWith } from './testing/test-model.js';
import { eventually, useStage } from './testing/test-stage.js';

const stage = useStage();
/** Longer than anything here takes. */
const DRAIN_MS = 10_000;

/** Lets everything happen that waits for nothing but the database. */
async function quiet(): Promise<void> {
  for (let turn = 0; turn < 200; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
    if (turn % 50 === 0) await stage.types();
  }
}

/** Notes when a promise is fulfilled. */
function watched(promise: Promise<unknown>): { readonly isDone: () => boolean } {
  let done = false;
  void promise.then(() => (done = true));
  return { isDone: () => done };
}

describe('a process that is asked to stop', () => {
  it('begins nothing for a request that has just won its claim, and lets the claim go', async () => {
    const model = new TestModel();
    const completions = await stage.start({ model, options: { drainMs: DRAIN_MS } });
    const claims = completions.get(Claims);
    const won = Promise.withResolvers<undefined>();
    const held = Promise.withResolvers<undefined>();
    const open = claims.open.bind(claims);
    vi.spyOn(claims, 'open').mockImplementation(async (request) => {
      const outcome = await open(request);
      won.resolve(undefined);
      await held.promise;
      return outcome;
    });
    const turn = completions.turn();
    await won.promise;
    const closed = completions.close();
    held.resolve(undefined);
    const refused = await turn.then(
      () => null,
      (error: unknown) => error,
    );
    await closed;
    expect(refused).toMatchObject({ code: 'SBP_UPSTREAM_UNAVAILABLE', retryAfter: 1 });
    expect(model.asked).toEqual([]);
    expect(await stage.types()).toEqual([]);
    const { database } = stage.backend;
    expect(await new Orphans(database, claims.inUse).runners()).toEqual([]);
  });

  it('waits until the callers of its turns have their answers', async () => {
    const completions = await stage.start({
      model: new TestModel(),
      options: { drainMs: DRAIN_MS },
    });
    const arrives = Promise.withResolvers<boolean>();
    const caller = new TestCaller();
    const answered = vi.spyOn(caller, 'answer').mockReturnValue(arrives.promise);
    const turn = completions.turn({}, caller);
    await eventually(() => expect(answered).toHaveBeenCalled());
    const closing = completions.close();
    const closed = watched(closing);
    await quiet();
    expect(closed.isDone()).toBe(false);
    arrives.resolve(true);
    await Promise.all([turn, closing]);
    await completions.process.heartbeat.leave();
    const { incarnation } = completions.process.address;
    const unconfirmed = new UnconfirmedAnswers(stage.backend.database);
    expect(await unconfirmed.of(new Set([incarnation]))).toEqual([]);
  });

  it('runs no turn that it was about to take over, and records nothing for it', async () => {
    const [sessionId, turnId] = [randomUUID(), randomUUID()];
    const dead = await DeadProcess.on(stage.backend);
    await dead.start(sessionId, turnId);
    const adopting = Promise.withResolvers<undefined>();
    const held = Promise.withResolvers<undefined>();
    stage.backend.log.obstacle = async ([{ type }]) => {
      if (type !== 'turn.adopted') return;
      adopting.resolve(undefined);
      await held.promise;
    };
    const model = new TestModel();
    model.answer = ({ signal }: ModelRequest) => {
      signal.throwIfAborted();
      return answerWith('Too late.');
    };
    const completions = await stage.start({ model, options: { othersDead: true } });
    await adopting.promise;
    const closed = completions.close();
    await quiet();
    held.resolve(undefined);
    await closed;
    await quiet();
    expect(await stage.types(sessionId)).toEqual([
      'session.opened',
      'turn.started',
      'turn.adopted',
    ]);
  });
});
