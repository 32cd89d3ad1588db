import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { id } from '#libs/domain/testing';
import type { ProcessAddress } from '#libs/protocol';
import {
  DIALECTS,
  aProcess,
  idleSession,
  nextTurn,
  openTestStore,
  runningSession,
  turnOf,
} from '#libs/store/testing';
import type { TestStore } from '#libs/store/testing';
import { Processes } from '../processes/processes.js';
import { Claims } from './claims.js';
import type { Judgement, Orphan } from './orphans.js';
import { Orphans } from './orphans.js';

/** In ms since 1970. */
const NOW = 1_000;

describe.each(DIALECTS)('orphans on %s', (dialect) => {
  let store: TestStore;
  let claims: Claims;
  let orphans: Orphans;
  let processes: Processes;
  let runner: ProcessAddress;
  let other: ProcessAddress;

  beforeAll(async () => {
    store = await openTestStore(dialect);
    processes = new Processes(store.database);
  });
  afterAll(() => store.close());
  beforeEach(async () => {
    await store.clear();
    claims = new Claims(store.database);
    orphans = new Orphans(store.database, claims.inUse);
    runner = await processes.lease(randomUUID());
    other = await processes.lease(randomUUID());
  });

  /** Claims the next turn of session `number`, which is made if need be. */
  async function claimed(number: number, by: ProcessAddress, turnId: string = randomUUID()) {
    await store.fold(...idleSession(number));
    const target = { type: 'session', sessionId: id(number), principal: null } as const;
    const outcome = await claims.claim({ target, turnId, runner: by });
    if (outcome.type !== 'claimed') throw new Error('it was refused');
    const { sessionId, epoch } = outcome;
    const orphan: Orphan = { sessionId, turnId, claim: { epoch, incarnation: by.incarnation } };
    const release = (head: number | null) =>
      claims.release({ sessionId, turnId, epoch, head, answeredBy: null });
    return { ...orphan, orphan, epoch, release };
  }

  /** A process was judged dead at the beat that it has now. */
  async function judgement(): Promise<Judgement> {
    const beats = new Map(
      (await processes.signs())
        .filter(({ hasLeft }) => !hasLeft)
        .map(({ incarnation, beat }) => [incarnation, beat]),
    );
    return (incarnation) => beats.get(incarnation) ?? null;
  }

  describe('claims', () => {
    it('are held by processes that are each named once, whatever the number of claims', async () => {
      expect(await orphans.runners()).toEqual([]);
      for (const number of [1, 2, 3]) await claimed(number, runner);
      await claimed(4, other);
      const { release } = await claimed(5, aProcess());
      await release(null);
      expect([...(await orphans.runners())].sort()).toEqual(
        [runner.incarnation, other.incarnation].sort(),
      );
    });

    it('of the processes named are found, and of no others', async () => {
      const mine = await claimed(1, runner);
      await claimed(2, other);
      expect(await orphans.heldBy([], 10)).toEqual([]);
      expect(await orphans.heldBy([runner.incarnation], 10)).toEqual([mine.orphan]);
      expect(await orphans.heldBy([runner.incarnation, other.incarnation], 10)).toHaveLength(2);
      await mine.release(1);
      expect(await orphans.heldBy([runner.incarnation], 10)).toEqual([]);
    });

    it('of earlier lives of a slot, and of processes that no table lists, are held like any', async () => {
      const earlier = { slot: runner.slot, incarnation: randomUUID() };
      const unlisted = aProcess(999);
      const found = [await claimed(1, earlier), await claimed(2, unlisted)];
      const runners = await orphans.runners();
      expect([...runners].sort()).toEqual([earlier.incarnation, unlisted.incarnation].sort());
      const held = await orphans.heldBy(runners, 10);
      expect(held).toHaveLength(2);
      for (const { orphan } of found) expect(held).toContainEqual(orphan);
    });

    it('come no more at once than asked for', async () => {
      for (let number = 1; number <= 5; number++) await claimed(number, runner);
      expect(await orphans.heldBy([runner.incarnation], 3)).toHaveLength(3);
    });
  });

  describe('open turns', () => {
    it('that nobody holds a claim for are found, with or without a row', async () => {
      await store.fold(...runningSession(1));
      const first = { sessionId: id(1), turnId: turnOf(1).turn, claim: null };
      expect(await orphans.unclaimed(NOW, 10)).toEqual([first]);
      const { release, epoch } = await claimed(2, runner, id(52));
      await store.fold(...nextTurn(2, { epoch, turnId: id(52) }));
      expect(await orphans.unclaimed(NOW, 10)).toEqual([first]);
      await release(null);
      expect(await orphans.unclaimed(NOW, 10)).toContainEqual({
        sessionId: id(2),
        turnId: id(52),
        claim: null,
      });
    });

    it('that have ended and only are not folded yet are none', async () => {
      const { release, epoch } = await claimed(1, runner, id(51));
      await store.fold(...nextTurn(1, { epoch, turnId: id(51) }));
      await store.foldedTo(40);
      await release(40);
      expect(await orphans.unclaimed(NOW, 10)).toEqual([]);
      // The fold has passed the last event of the claim, and the turn is open still.
      await store.foldedTo(41);
      expect(await orphans.unclaimed(NOW, 10)).toHaveLength(1);
    });

    it('come no more at once than asked for', async () => {
      for (let number = 1; number <= 5; number++) await store.fold(...runningSession(number));
      expect(await orphans.unclaimed(NOW, 3)).toHaveLength(3);
    });
  });

  // [SBP-L2-02]
  describe('adoption', () => {
    const adopters = async (
      orphan: Orphan,
      judgedBy: Judgement | null,
    ): Promise<readonly number[]> => {
      const epochs = await Promise.all(
        Array.from({ length: 8 }, (_, slot) =>
          orphans.adopt(orphan, aProcess(100 + slot), judgedBy),
        ),
      );
      return epochs.filter((epoch) => epoch !== null);
    };

    it('of a silent runner’s claim is won by exactly one, at a higher epoch', async () => {
      const { orphan, epoch } = await claimed(1, runner);
      const epochs = await adopters(orphan, await judgement());
      expect(epochs).toHaveLength(1);
      expect(epochs[0]).toBeGreaterThan(epoch);
    });

    it('of a turn without a claim is won by exactly one, whether or not there is a row', async () => {
      await store.fold(...runningSession(1));
      const { turn } = turnOf(1);
      const orphan = { sessionId: id(1), turnId: turn, claim: null };
      const judgedBy = await judgement();
      const [first = Number.NaN] = await adopters(orphan, judgedBy);
      const release = { sessionId: id(1), turnId: turn, epoch: first };
      await claims.release({ ...release, head: null, answeredBy: null });
      const again = await adopters(orphan, judgedBy);
      expect(again).toHaveLength(1);
      expect(again[0]).toBeGreaterThan(first);
    });

    it('is above the fold’s epoch where the table was lost', async () => {
      const folded = (await store.now()) + 1_000_000;
      await store.fold(...runningSession(1, folded));
      const orphan = { sessionId: id(1), turnId: turnOf(1).turn, claim: null };
      expect(await orphans.adopt(orphan, other, await judgement())).toBe(folded + 1);
    });

    it('fails where the runner was heard of again', async () => {
      const { orphan, epoch } = await claimed(1, runner);
      const judgedBy = await judgement();
      await processes.heartbeat(runner);
      expect(await orphans.adopt(orphan, other, judgedBy)).toBeNull();
      expect(await claims.inspect(id(1))).toMatchObject({ epoch });
    });

    it('fails where the runner was unknown when it was judged, and has a slot now', async () => {
      const late = randomUUID();
      const { orphan } = await claimed(1, { slot: 7, incarnation: late });
      const judgedBy = await judgement();
      await processes.lease(late);
      expect(await orphans.adopt(orphan, other, judgedBy)).toBeNull();
    });

    it('fails where the runner has released meanwhile', async () => {
      const { orphan, release } = await claimed(1, runner);
      const judgedBy = await judgement();
      await release(1);
      const next = await claimed(1, runner);
      expect(await orphans.adopt(orphan, other, judgedBy)).toBeNull();
      expect(await orphans.adopt({ ...orphan, claim: null }, other, judgedBy)).toBeNull();
      expect(await claims.inspect(id(1))).toMatchObject({ epoch: next.epoch });
    });

    it('needs no waiting for a runner that has left', async () => {
      const { orphan, epoch } = await claimed(1, runner);
      await processes.leave(runner);
      expect(await orphans.adopt(orphan, other, await judgement())).toBeGreaterThan(epoch);
    });

    it('where every other process is dead asks for no sign of them', async () => {
      const { orphan, epoch } = await claimed(1, runner);
      await processes.heartbeat(runner);
      expect(await orphans.adopt(orphan, other, null)).toBeGreaterThan(epoch);
    });

    it('makes the claim one that is in use here, unless it was lost to another', async () => {
      const { orphan, turnId } = await claimed(1, runner);
      const [mine, theirs] = [new Claims(store.database), new Claims(store.database)];
      await new Orphans(store.database, mine.inUse).adopt(orphan, other, null);
      await new Orphans(store.database, theirs.inUse).adopt(orphan, aProcess(), null);
      expect([mine.inUse.has(turnId), theirs.inUse.has(turnId)]).toEqual([true, false]);
    });
  });
});
