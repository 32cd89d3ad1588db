import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { id } from '#libs/domain/testing';
import { DIALECTS, aProcess, costOf, idleSession, openTestStore } from '#libs/store/testing';
import type { TestStore } from '#libs/store/testing';
import { Claims } from './claims.js';
import { UnconfirmedAnswers } from './unconfirmed-answers.js';
import type { UnconfirmedAnswer } from './unconfirmed-answers.js';

describe.each(DIALECTS)('answers that may not have arrived on %s', (dialect) => {
  let store: TestStore;
  let claims: Claims;
  let answers: UnconfirmedAnswers;

  beforeAll(async () => {
    store = await openTestStore(dialect);
  });
  afterAll(() => store.close());
  beforeEach(async () => {
    await store.clear();
    claims = new Claims(store.database);
    answers = new UnconfirmedAnswers(store.database);
  });

  const [runner, other] = [aProcess(1), aProcess(2)];

  /** A turn whose claim is released by a process that is about to answer. */
  async function answered(number: number, by = runner): Promise<UnconfirmedAnswer> {
    const turnId = randomUUID();
    const target = { type: 'session', sessionId: id(number), principal: null } as const;
    const outcome = await claims.claim({ target, turnId, runner: by });
    if (outcome.type !== 'claimed') throw new Error('it was refused');
    const { sessionId, epoch } = outcome;
    const { incarnation } = by;
    await claims.release({ sessionId, turnId, epoch, head: 1, answeredBy: incarnation });
    return { sessionId, turnId, incarnation };
  }

  const left = (...processes: readonly { readonly incarnation: string }[]) =>
    answers.of(new Set(processes.map(({ incarnation }) => incarnation)));

  it('are those of claims that were released to answer, until they are confirmed', async () => {
    await store.fold(...idleSession(1));
    const answer = await answered(1);
    expect(await left(runner)).toEqual([answer]);
    expect(await left(other)).toEqual([]);
    answers.confirm(answer);
    expect(await left(runner)).toEqual([answer]);
    await answers.flush();
    expect(await left(runner)).toEqual([]);
  });

  it('are none of a release that answers nobody', async () => {
    await store.fold(...idleSession(1));
    const turnId = randomUUID();
    const opening = { principal: 'p', agentId: 'a', replaces: 'join', runner } as const;
    const opened = await claims.open({ ...opening, sessionId: id(5), turnId });
    const epoch = opened.type === 'opened' ? opened.epoch : 0;
    const released = { sessionId: id(5), turnId, epoch, head: null, answeredBy: null };
    expect(await claims.release(released)).toBe(true);
    expect(await left(runner)).toEqual([]);
  });

  it('are marked by who is refused the claim neither', async () => {
    await store.fold(...idleSession(1));
    const { turnId } = await answered(1);
    const again = { sessionId: id(1), turnId, epoch: 1, head: 1, answeredBy: other.incarnation };
    expect(await claims.release(again)).toBe(false);
    expect(await left(other)).toEqual([]);
  });

  it('of one session are kept apart: by turn and by who was to answer', async () => {
    await store.fold(...idleSession(1), ...idleSession(2));
    const [first, second, third] = [await answered(1), await answered(1, other), await answered(1)];
    const fourth = await answered(2, other);
    answers.confirm(first);
    await answers.flush();
    expect(await left(runner)).toEqual([third]);
    const others = await left(other);
    expect(others).toHaveLength(2);
    expect(others).toEqual(expect.arrayContaining([second, fourth]));
    expect(await left(runner, other)).toHaveLength(3);
  });

  it('are still there after another turn of the session has been claimed', async () => {
    await store.fold(...idleSession(1));
    const answer = await answered(1);
    const target = { type: 'session', sessionId: id(1), principal: null } as const;
    await claims.claim({ target, turnId: randomUUID(), runner: other });
    expect(await left(runner)).toEqual([answer]);
  });

  it('are confirmed for many sessions in one statement, and for none in none', async () => {
    const numbers = Array.from({ length: 40 }, (_, index) => index + 1);
    await store.fold(...numbers.flatMap((number) => idleSession(number)));
    for (const number of numbers) answers.confirm(await answered(number));
    const cost = await costOf(store.database, () => answers.flush());
    expect(cost.statements).toBe(1);
    expect(await left(runner)).toEqual([]);
    expect(await costOf(store.database, () => answers.flush())).toMatchObject({ statements: 0 });
  });

  it('of one session are confirmed all, however many there are', async () => {
    await store.fold(...idleSession(1));
    const all = [await answered(1), await answered(1), await answered(1)];
    for (const answer of all) answers.confirm(answer);
    await answers.flush();
    expect(await left(runner)).toEqual([]);
  });

  it('are confirmed later where the database does not answer', async () => {
    await store.fold(...idleSession(1), ...idleSession(2));
    const [first, second] = [await answered(1), await answered(2)];
    answers.confirm(first);
    const broken = vi.spyOn(store.database, 'writeOne').mockRejectedValueOnce(new Error('away'));
    await expect(answers.flush()).rejects.toThrow('away');
    broken.mockRestore();
    answers.confirm(second);
    await answers.flush();
    expect(await left(runner)).toEqual([]);
  });
});
