import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { id } from '#libs/domain/testing';
import { StorageFault } from '#libs/sql';
import { DIALECTS, idleSession, openTestStore } from '#libs/store/testing';
import type { TestStore } from '#libs/store/testing';
import { Claims } from '../claims/claims.js';
import { UnconfirmedAnswers } from '../claims/unconfirmed-answers.js';
import { Heartbeat } from './heartbeat.js';
import { ProcessIdentity } from './process-identity.js';
import { ProcessWatch } from './process-watch.js';
import { HEARTBEAT_MS, LEASE_MS, Processes } from './processes.js';

const SOON = { timeout: 10_000 };

describe.each(DIALECTS)('the heartbeat on %s', (dialect) => {
  let store: TestStore;
  let processes: Processes;
  let claims: Claims;
  let answers: UnconfirmedAnswers;
  let identity: ProcessIdentity;
  let heartbeat: Heartbeat;
  const onRefused = vi.fn();
  const onFailed = vi.fn();
  const onHeld = vi.fn();

  beforeAll(async () => {
    store = await openTestStore(dialect);
  });
  afterAll(() => store.close());
  beforeEach(async () => {
    await store.clear();
    for (const told of [onRefused, onFailed, onHeld]) told.mockReset();
    processes = new Processes(store.database);
    claims = new Claims(store.database);
    answers = new UnconfirmedAnswers(store.database);
    identity = new ProcessIdentity(await processes.lease(randomUUID()));
    const events = { onRefused, onFailed };
    heartbeat = new Heartbeat(processes, claims, answers, identity, events);
    heartbeat.onHeld(onHeld);
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await heartbeat.leave();
  });

  const claim = (turnId: string) =>
    claims.claim({
      target: { type: 'session', sessionId: id(1), principal: null },
      turnId,
      runner: identity.address,
    });
  const holder = async () => (await claims.inspect(id(1)))?.turnId;

  /** The next statement that writes is committed, and its answer is lost. */
  function loseNextAnswer(method: 'write' | 'writeOne'): void {
    const write = store.database[method].bind(store.database);
    vi.spyOn(store.database, method).mockImplementationOnce(async (work) => {
      await write(work);
      throw new StorageFault('unavailable', 'The connection was lost at the commit.');
    });
  }

  it('tells which claims the database says that this process holds, and since when', async () => {
    await store.fold(...idleSession(1));
    const turnId = randomUUID();
    const claimed = await claim(turnId);
    const before = performance.now();
    heartbeat.start();
    await vi.waitFor(() => expect(onHeld).toHaveBeenCalled(), SOON);
    const epoch = claimed.type === 'claimed' ? claimed.epoch : Number.NaN;
    const [held, askedAt] = onHeld.mock.calls[0] as [unknown, number];
    expect(held).toEqual([{ sessionId: id(1), turnId, epoch }]);
    expect(askedAt).toBeGreaterThan(before);
    expect(onFailed).not.toHaveBeenCalled();
  });

  it('tells a process that its slot is another’s now', async () => {
    heartbeat.start();
    await vi.waitFor(() => expect(onHeld).toHaveBeenCalled(), SOON);
    expect(onRefused).not.toHaveBeenCalled();
    await store.clear('processes');
    await vi.waitFor(() => expect(onRefused).toHaveBeenCalled(), SOON);
    expect(onFailed).not.toHaveBeenCalled();
  });

  it('lets go of a claim whose answer was lost, because nobody here knows of it', async () => {
    await store.fold(...idleSession(1));
    const turnId = randomUUID();
    loseNextAnswer('writeOne');
    await expect(claim(turnId)).rejects.toThrow(StorageFault);
    expect(await holder()).toBe(turnId);
    heartbeat.start();
    await vi.waitFor(async () => expect(await holder()).toBeNull(), SOON);
    expect((await claim(randomUUID())).type).toBe('claimed');
  });

  it('lets go of the claim of a session whose opening was not answered', async () => {
    const opening = { sessionId: id(1), turnId: randomUUID(), runner: identity.address } as const;
    loseNextAnswer(dialect === 'postgres' ? 'writeOne' : 'write');
    const request = { ...opening, principal: 'p', agentId: 'a', replaces: 'join' as const };
    await expect(claims.open(request)).rejects.toThrow(StorageFault);
    expect(await holder()).toBe(opening.turnId);
    heartbeat.start();
    await vi.waitFor(async () => expect(await holder()).toBeNull(), SOON);
  });

  it('keeps a claim that is in use, and lets it go once nobody looks after it', async () => {
    await store.fold(...idleSession(1));
    const turnId = randomUUID();
    await claim(turnId);
    heartbeat.start();
    await vi.waitFor(() => expect(onHeld.mock.calls.length).toBeGreaterThan(1), SOON);
    expect(await holder()).toBe(turnId);
    claims.inUse.end(turnId);
    await vi.waitFor(async () => expect(await holder()).toBeNull(), SOON);
  });

  it('takes away the marks of answers that were given', async () => {
    await store.fold(...idleSession(1));
    const turnId = randomUUID();
    const claimed = await claim(turnId);
    const { incarnation } = identity.address;
    const epoch = claimed.type === 'claimed' ? claimed.epoch : Number.NaN;
    const answer = { sessionId: id(1), turnId, incarnation };
    await claims.release({ ...answer, epoch, head: 1, answeredBy: incarnation });
    expect(await answers.of(new Set([incarnation]))).toEqual([answer]);
    answers.confirm(answer);
    heartbeat.start();
    const left = () => answers.of(new Set([incarnation]));
    await vi.waitFor(async () => expect(await left()).toEqual([]), SOON);
  });

  it('goes on after the database did not answer', async () => {
    vi.spyOn(processes, 'heartbeat').mockRejectedValueOnce(new Error('away'));
    heartbeat.start();
    await vi.waitFor(() => expect(onHeld).toHaveBeenCalled(), SOON);
    expect(onFailed).toHaveBeenCalledExactlyOnceWith(new Error('away'));
  });

  describe('that is left', () => {
    it('lets others judge at once what this process still holds', async () => {
      const watch = new ProcessWatch();
      const { incarnation } = identity.address;
      for (let now = 0; now <= LEASE_MS; now += HEARTBEAT_MS) {
        await processes.heartbeat(identity.address);
        watch.observe(await processes.signs(), now);
      }
      expect(watch.isSilent(incarnation)).toBe(false);
      await heartbeat.leave();
      watch.observe(await processes.signs(), LEASE_MS + 1);
      expect([watch.isSilent(incarnation), watch.beatOf(incarnation)]).toEqual([true, null]);
    });

    it('ends without a fault where the database is away: the beat rises no more all the same', async () => {
      heartbeat.start();
      vi.spyOn(processes, 'leave').mockRejectedValueOnce(new Error('away'));
      await heartbeat.leave();
      expect(onFailed).toHaveBeenCalledExactlyOnceWith(new Error('away'));
    });
  });
});
