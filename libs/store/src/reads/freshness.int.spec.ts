import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  SESSION,
  id,
  sessionOpened,
  turnAdopted,
  turnCompleted,
  turnStarted,
} from '#libs/domain/testing';
import type { Database } from '#libs/sql';
import { DIALECTS, openTestStore } from '#libs/store/testing';
import type { TestStore } from '#libs/store/testing';
import { Claims } from '../claims/claims.js';
import { Orphans } from '../claims/orphans.js';
import { Freshness } from './freshness.js';
import { ProjectionProgress } from '../projection/projection-progress.js';

const PARTITION = 4;
const runner = { slot: 0, incarnation: randomUUID() };

describe.each(DIALECTS)('freshness on %s', (dialect) => {
  let store: TestStore;
  let claims: Claims;
  let read: Database['read'];
  /** Where the log ends, and up to where it is folded. */
  let end: number;
  let folded: number;
  /** How often the tables or the position were read. */
  let looks: number;
  const log = {
    partitions: 1,
    partitionOf: () => PARTITION,
    end: (partition: number) => Promise.resolve(partition === PARTITION ? end : Number.NaN),
  };
  let progress: ProjectionProgress;
  let freshness: Freshness;

  beforeAll(async () => {
    store = await openTestStore(dialect);
    claims = new Claims(store.database);
    read = store.database.read.bind(store.database);
  });
  afterAll(() => store.close());
  beforeEach(async () => {
    await store.clear();
    end = 0;
    folded = 0;
    looks = 0;
    vi.spyOn(store.database, 'read').mockImplementation((work) => {
      looks += 1;
      return read(work);
    });
    progress = new ProjectionProgress(() => {
      looks += 1;
      return Promise.resolve(new Map([[PARTITION, folded]]));
    });
    freshness = new Freshness(store.database, log, progress);
  });

  /** A claim of the session that is opened with it. */
  async function claim(): Promise<number> {
    const opener = { principal: 'anonymous', agentId: 'agent', replaces: 'any' } as const;
    const opened = await claims.open({ ...opener, sessionId: SESSION, turnId: id(5), runner });
    if (opened.type === 'joined') throw new Error('it was opened before');
    return opened.epoch;
  }

  /** A claim of the session once it is folded. */
  async function claimAgain(): Promise<void> {
    const target = { type: 'session', sessionId: SESSION, principal: null } as const;
    const claimed = await claims.claim({ target, turnId: id(6), runner });
    if (claimed.type !== 'claimed') throw new Error('it was refused');
  }

  const release = (epoch: number, head: number | null) =>
    claims.release({ sessionId: SESSION, turnId: id(5), epoch, head, answeredBy: null });

  const open = (epoch = 10) =>
    store.fold(sessionOpened(epoch), turnStarted(epoch, { turn: id(5) }));

  /**
   * Follows an answer that does not come, however often it is looked for, before `until` was done.
   */
  async function waitsFor<T>(answer: Promise<T>, until: () => unknown): Promise<T> {
    const settled = vi.fn();
    void answer.then(settled, settled);
    const enough = looks + 6;
    await vi.waitFor(() => expect(looks).toBeGreaterThan(enough), { timeout: 10_000, interval: 5 });
    expect(settled).not.toHaveBeenCalled();
    await until();
    return answer;
  }

  describe('of a session without a claim row', () => {
    it('is absent at the partition’s end', async () => {
      expect(await freshness.presence(SESSION)).toBe('absent');
      end = 7;
      folded = 7;
      expect(await freshness.presence(SESSION)).toBe('absent');
    });

    it('is known only when the projection reached the partition’s end', async () => {
      end = 7;
      folded = 6;
      const answer = await waitsFor(freshness.presence(SESSION), async () => {
        await open();
        folded = 7;
      });
      expect(answer).toBe('present');
    });

    it('is absent where only its epoch was raised', async () => {
      await store.fold(turnAdopted(20));
      expect(await freshness.presence(SESSION)).toBe('absent');
    });

    it('takes in a claim that was made meanwhile', async () => {
      end = 7;
      folded = 6;
      const answer = freshness.presence(SESSION);
      await claim();
      folded = 7;
      expect(await waitsFor(answer, () => open())).toBe('present');
    });
  });

  describe('of a session with a claim row', () => {
    it('is there when the log head of the last release is folded [A5]', async () => {
      await release(await claim(), 12);
      await open();
      await store.fold(turnCompleted(10, { turn: id(5) }));
      folded = 12;
      const answer = await waitsFor(freshness.presence(SESSION), () => void (folded = 13));
      expect(answer).toBe('present');
    });

    it('does not wait for what others append: the head is enough', async () => {
      await release(await claim(), 12);
      await open();
      folded = 13;
      end = 1_000;
      expect(await freshness.presence(SESSION)).toBe('present');
    });

    it('is waited for while it is claimed and not in the log yet', async () => {
      await claim();
      const answer = await waitsFor(freshness.presence(SESSION), () => open());
      expect(answer).toBe('present');
    });

    it('is absent when the claim is given up before anything was acknowledged', async () => {
      const epoch = await claim();
      const answer = await waitsFor(freshness.presence(SESSION), () => release(epoch, null));
      expect(answer).toBe('absent');
    });

    it('is absent when an adopter found that it was never opened, and released at a head', async () => {
      const epoch = await claim();
      const answer = await waitsFor(freshness.presence(SESSION), async () => {
        const held = { epoch, incarnation: runner.incarnation };
        const adopted = await new Orphans(store.database, claims.inUse).adopt(
          { sessionId: SESSION, turnId: id(5), claim: held },
          { slot: 1, incarnation: id(1) },
          null,
        );
        await store.fold(turnAdopted(adopted ?? 0, { turn: id(5) }));
        folded = 9;
        await release(adopted ?? 0, 8);
      });
      expect(answer).toBe('absent');
    });

    it('is there while a turn runs', async () => {
      await release(await claim(), 3);
      await open();
      await store.fold(turnCompleted(10, { turn: id(5) }));
      folded = 4;
      await claimAgain();
      expect(await freshness.presence(SESSION)).toBe('present');
    });
  });

  it('ends with 503 where the projection stays behind', async () => {
    await release(await claim(), 12);
    const impatient = new Freshness(store.database, log, progress, 20);
    await expect(impatient.presence(SESSION)).rejects.toMatchObject({
      code: 'SBP_UPSTREAM_UNAVAILABLE',
      retryAfter: 1,
    });
  });

  it('says whether a position was reached in time', async () => {
    folded = 5;
    expect(await freshness.reached({ partition: PARTITION, offset: 4 })).toBe(true);
    expect(await freshness.reached({ partition: PARTITION, offset: 5 }, 20)).toBe(false);
  });

  it('of a head that was given is there when that is folded; of none, at once', async () => {
    folded = 4;
    await freshness.foldedUpTo(SESSION, -1);
    await freshness.foldedUpTo(SESSION, 3);
    await waitsFor(freshness.foldedUpTo(SESSION, 4), () => void (folded = 5));
  });

  it('takes what somebody saw of the fold, and asks no more for that', async () => {
    freshness.seen(SESSION, 8);
    const before = looks;
    await freshness.foldedUpTo(SESSION, 7);
    expect(looks).toBe(before);
  });

  it('waits for a fold however long it takes, where that must be', async () => {
    const position = { partition: PARTITION, offset: 5 };
    await waitsFor(freshness.untilFolded(position), () => void (folded = 6));
  });

  describe('for a reader', () => {
    it('waits for the partition’s end, whoever wrote what stands there', async () => {
      await release(await claim(), 12);
      await open();
      folded = 13;
      end = 15;
      expect(await waitsFor(freshness.latest(SESSION), () => void (folded = 15))).toBe('present');
    });

    it('does not wait for what is appended after it asked', async () => {
      await release(await claim(), 3);
      await open();
      end = 7;
      folded = 6;
      const answer = waitsFor(freshness.latest(SESSION), () => {
        end = 1_000;
        folded = 7;
      });
      expect(await answer).toBe('present');
    });

    it('is absent where there is none', async () => {
      end = 7;
      folded = 7;
      expect(await freshness.latest(SESSION)).toBe('absent');
    });
  });
});
