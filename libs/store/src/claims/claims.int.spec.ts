import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ProcessAddress } from '#libs/protocol';
import { raw, sql } from '#libs/sql';
import { id, sessionOpened, turnAdopted, turnCompleted, turnStarted } from '#libs/domain/testing';
import { DIALECTS, openTestStore } from '#libs/store/testing';
import type { TestStore } from '#libs/store/testing';
import type { ClaimOutcome, OpenRequest, Orphan } from './claims.js';
import { Claims } from './claims.js';
import { LEASE_MS, Processes } from '../processes/processes.js';

describe.each(DIALECTS)('claims on %s', (dialect) => {
  let store: TestStore;
  let claims: Claims;
  let processes: Processes;
  let runner: ProcessAddress;
  let other: ProcessAddress;

  beforeAll(async () => {
    store = await openTestStore(dialect);
    claims = new Claims(store.database);
    processes = new Processes(store.database);
  });
  afterAll(() => store.close());
  beforeEach(async () => {
    await store.clear();
    runner = await processes.lease(randomUUID());
    other = await processes.lease(randomUUID());
  });

  const session = id(1);
  const claim = (
    turnId: string = randomUUID(),
    by = runner,
    sessionId = session,
  ): Promise<ClaimOutcome> => claims.claim({ sessionId, turnId, runner: by });

  async function epochOf(claiming: Promise<ClaimOutcome>): Promise<number> {
    const outcome = await claiming;
    if (outcome.type !== 'claimed') throw new Error('it was refused');
    return outcome.epoch;
  }

  async function databaseNow(): Promise<number> {
    const now = raw(store.database.nowMs);
    const { rows } = await store.database.read(
      (reader) => sql(reader)<{ now: number }>`SELECT ${now} AS now`,
    );
    return rows[0]?.now ?? Number.NaN;
  }

  /** Makes a process look as if it had been silent for so long. */
  async function silence({ slot }: ProcessAddress, ms: number): Promise<void> {
    await store.database.write(
      (transaction) =>
        sql(
          transaction,
        )`UPDATE processes SET heartbeat_at = heartbeat_at - ${raw(String(ms))} WHERE slot = ${slot}`,
    );
  }

  /** A session whose fold has a turn open at this epoch. */
  async function openTurn(epoch: number, turn: string, sessionId = session): Promise<void> {
    await store.fold(
      sessionOpened(epoch, { session: sessionId }),
      turnStarted(epoch, { session: sessionId, turn }),
    );
  }

  describe('claiming', () => {
    it('gives an epoch not below the database’s clock, and no head where none is known', async () => {
      const before = await databaseNow();
      const outcome = await claim();
      expect(outcome).toEqual({ type: 'claimed', epoch: expect.any(Number) as number, head: -1 });
      expect(await epochOf(Promise.resolve(outcome))).toBeGreaterThanOrEqual(before);
    });

    it('is refused while somebody holds the claim, whoever asks', async () => {
      await claim();
      expect(await claim()).toEqual({ type: 'refused' });
      expect(await claim(randomUUID(), other)).toEqual({ type: 'refused' });
    });

    it('goes to exactly one of many at once', async () => {
      const outcomes = await Promise.all(Array.from({ length: 12 }, () => claim()));
      expect(outcomes.filter(({ type }) => type === 'claimed')).toHaveLength(1);
    });

    it('is refused while the fold has an open turn, whatever the claim row says', async () => {
      await openTurn(10, id(5));
      expect(await claim()).toEqual({ type: 'refused' });
      const { sessionId, turnId } = { sessionId: id(2), turnId: id(6) };
      const epoch = await epochOf(claim(turnId, runner, sessionId));
      await openTurn(epoch, turnId, sessionId);
      await claims.release(sessionId, epoch, 3);
      expect(await claim(randomUUID(), runner, sessionId)).toEqual({ type: 'refused' });
      await store.fold(turnCompleted(epoch, { session: sessionId, turn: turnId }));
      expect(await claim(randomUUID(), runner, sessionId)).toMatchObject({
        type: 'claimed',
        head: 3,
      });
    });

    it('gives a higher epoch each time', async () => {
      const epochs: number[] = [];
      for (let round = 0; round < 5; round++) {
        const epoch = await epochOf(claim());
        epochs.push(epoch);
        await claims.release(session, epoch, round);
      }
      expect(epochs).toEqual([...new Set(epochs)].sort((a, b) => a - b));
    });

    it('gives an epoch above the one before even when that lies ahead of the clock', async () => {
      const ahead = (await databaseNow()) + 1_000_000;
      await epochOf(claim());
      await store.database.write(
        (transaction) => sql(transaction)`UPDATE claims SET epoch = ${ahead}, turn_id = NULL`,
      );
      expect(await epochOf(claim())).toBe(ahead + 1);
    });

    it('gives an epoch above all that were lost with the table: the fold’s, and the clock’s [A3]', async () => {
      const folded = (await databaseNow()) + 1_000_000;
      await store.fold(
        sessionOpened(folded, { session }),
        turnStarted(folded, { session }),
        turnCompleted(folded, { session }),
      );
      await store.clear('claims');
      expect(await epochOf(claim())).toBe(folded + 1);

      const lost = await epochOf(claim(randomUUID(), runner, id(2)));
      await store.clear('claims');
      await new Promise((resolve) => setTimeout(resolve, 2));
      expect(await epochOf(claim(randomUUID(), runner, id(2)))).toBeGreaterThan(lost);
    });

    it('is above an epoch that was raised for a session that was never opened', async () => {
      const folded = (await databaseNow()) + 1_000_000;
      await store.fold(turnAdopted(folded, { session }));
      expect(await epochOf(claim())).toBe(folded + 1);
    });
  });

  describe('release', () => {
    it('is the verdict: true while the claim is held at this epoch, false for ever after', async () => {
      const epoch = await epochOf(claim());
      expect(await claims.release(session, epoch - 1, 1)).toBe(false);
      expect(await claims.release(session, epoch, 7)).toBe(true);
      expect(await claims.release(session, epoch, 9)).toBe(false);
      expect(await claims.inspect(session)).toEqual({ turnId: null, epoch, head: 7 });
    });

    it('is refused after an adoption [A3]', async () => {
      const turnId = randomUUID();
      const epoch = await epochOf(claim(turnId));
      await silence(runner, LEASE_MS + 1);
      const adopted = await claims.adopt({ sessionId: session, turnId, epoch }, other, false);
      expect(await claims.release(session, epoch, 5)).toBe(false);
      expect(await claims.inspect(session)).toEqual({ turnId, epoch: adopted, head: -1 });
      expect(await claims.release(session, adopted ?? 0, 5)).toBe(true);
    });

    it('keeps the head, which never goes back [A5]', async () => {
      for (const head of [12, null, 4]) await claims.release(session, await epochOf(claim()), head);
      expect(await claims.inspect(session)).toMatchObject({ head: 12 });
      expect(await claim()).toMatchObject({ head: 12 });
    });

    it('of a session that nobody claimed is false', async () => {
      expect(await claims.release(id(9), 1, 1)).toBe(false);
      expect(await claims.inspect(id(9))).toBeNull();
    });
  });

  describe('opening a session', () => {
    const request = (replaces: OpenRequest['replaces'], agentId = 'agent'): OpenRequest => ({
      sessionId: randomUUID(),
      turnId: randomUUID(),
      runner,
      principal: 'anonymous',
      agentId,
      replaces,
    });

    // [SBP-L1-14]
    it('at once by many opens one, and the others join it', async () => {
      const requests = Array.from({ length: 10 }, () => request('join'));
      const outcomes = await Promise.all(requests.map((each) => claims.open(each)));
      const winner = requests[outcomes.findIndex(({ type }) => type === 'opened')]?.sessionId;
      expect(outcomes.filter(({ type }) => type === 'opened')).toHaveLength(1);
      for (const outcome of outcomes) {
        if (outcome.type === 'joined') expect(outcome.sessionId).toBe(winner);
      }
      expect(await store.rows('claims')).toHaveLength(1);
    });

    it('claims it, so that nobody else does', async () => {
      const opening = request('join');
      const outcome = await claims.open(opening);
      const { sessionId, turnId } = opening;
      expect(outcome.type).toBe('opened');
      expect(await claims.inspect(sessionId)).toMatchObject({ turnId, head: -1 });
      expect(await claim(randomUUID(), other, sessionId)).toEqual({ type: 'refused' });
    });

    it('is apart for each agent', async () => {
      expect((await claims.open(request('join', 'one'))).type).toBe('opened');
      expect((await claims.open(request('join', 'two'))).type).toBe('opened');
    });

    it('that is forced takes the place of the live one, at a higher epoch', async () => {
      const [first, second] = [
        await claims.open(request('any')),
        await claims.open(request('any')),
      ];
      if (first.type !== 'opened' || second.type !== 'opened')
        throw new Error('one was not opened');
      expect(second.epoch).toBeGreaterThan(first.epoch);
    });

    it('in place of a dead one opens one, and the others join it', async () => {
      const dead = request('join');
      await claims.open(dead);
      const outcomes = await Promise.all(
        Array.from({ length: 6 }, () => claims.open(request({ sessionId: dead.sessionId }))),
      );
      expect(outcomes.filter(({ type }) => type === 'opened')).toHaveLength(1);
      expect(outcomes).not.toContainEqual({ type: 'joined', sessionId: dead.sessionId });
    });
  });

  describe('orphans', () => {
    it('are the claims of silent runners', async () => {
      const turnId = randomUUID();
      const epoch = await epochOf(claim(turnId));
      expect(await claims.orphans(other, false, 10)).toEqual([]);
      await silence(runner, LEASE_MS + 1);
      expect(await claims.orphans(other, false, 10)).toEqual([
        { sessionId: session, turnId, epoch },
      ]);
      await processes.heartbeat(runner);
      expect(await claims.orphans(other, false, 10)).toEqual([]);
    });

    it('are the claims of earlier lives of a slot, and of processes that are not listed at all', async () => {
      await claim(id(5), { slot: runner.slot, incarnation: randomUUID() });
      await claim(id(6), { slot: 999, incarnation: randomUUID() }, id(2));
      expect((await claims.orphans(other, false, 10)).map(({ turnId }) => turnId).sort()).toEqual([
        id(5),
        id(6),
      ]);
    });

    it('are the open turns that nobody holds a claim for, with or without a row', async () => {
      await openTurn(10, id(5));
      expect(await claims.orphans(other, false, 10)).toEqual([
        { sessionId: session, turnId: id(5), epoch: null },
      ]);
      const epoch = await epochOf(claim(id(6), runner, id(2)));
      await openTurn(epoch, id(6), id(2));
      expect(await claims.orphans(other, false, 10)).toHaveLength(1);
      await claims.release(id(2), epoch, null);
      expect(await claims.orphans(other, false, 10)).toContainEqual({
        sessionId: id(2),
        turnId: id(6),
        epoch: null,
      });
    });

    it('are never a process’s own, nor those of the living; where every other one is dead, all of theirs', async () => {
      await claim(id(5), other);
      await claim(id(6), runner, id(2));
      expect(await claims.orphans(runner, false, 10)).toEqual([]);
      expect(await claims.orphans(runner, true, 10)).toMatchObject([
        { sessionId: session, turnId: id(5) },
      ]);
    });

    it('come no more at once than asked for', async () => {
      for (let number = 1; number <= 5; number++) await openTurn(10, id(50 + number), id(number));
      expect(await claims.orphans(other, false, 3)).toHaveLength(3);
    });
  });

  // [SBP-L2-02]
  describe('adoption', () => {
    const adopters = (orphan: Orphan, othersDead = false): Promise<(number | null)[]> =>
      Promise.all(
        Array.from({ length: 8 }, (_, slot) =>
          claims.adopt(orphan, { slot: 100 + slot, incarnation: randomUUID() }, othersDead),
        ),
      );

    it('of a silent runner’s claim is won by exactly one, at a higher epoch', async () => {
      const turnId = randomUUID();
      const epoch = await epochOf(claim(turnId));
      await silence(runner, LEASE_MS + 1);
      const epochs = (await adopters({ sessionId: session, turnId, epoch })).filter(
        (each) => each !== null,
      );
      expect(epochs).toHaveLength(1);
      expect(epochs[0]).toBeGreaterThan(epoch);
    });

    it('of a turn without a claim is won by exactly one, whether or not there is a row', async () => {
      await openTurn(10, id(5));
      const orphan = { sessionId: session, turnId: id(5), epoch: null };
      const [first] = (await adopters(orphan)).filter((each) => each !== null);
      await claims.release(session, first ?? 0, null);
      const again = (await adopters(orphan)).filter((each) => each !== null);
      expect(again).toHaveLength(1);
      expect(again[0]).toBeGreaterThan(first ?? Number.NaN);
    });

    it('is above the fold’s epoch where the table was lost', async () => {
      const folded = (await databaseNow()) + 1_000_000;
      await openTurn(folded, id(5));
      expect(
        await claims.adopt({ sessionId: session, turnId: id(5), epoch: null }, other, false),
      ).toBe(folded + 1);
    });

    it('fails where the runner was heard of again, or has released meanwhile', async () => {
      const turnId = randomUUID();
      const epoch = await epochOf(claim(turnId));
      const orphan = { sessionId: session, turnId, epoch };
      expect(await claims.adopt(orphan, other, false)).toBeNull();
      await claims.release(session, epoch, 1);
      const next = await epochOf(claim());
      await silence(runner, LEASE_MS + 1);
      expect(await claims.adopt(orphan, other, false)).toBeNull();
      expect(await claims.adopt({ ...orphan, epoch: null }, other, false)).toBeNull();
      expect(await claims.inspect(session)).toMatchObject({ epoch: next });
    });

    it('where every other process is dead needs no waiting', async () => {
      const turnId = randomUUID();
      const epoch = await epochOf(claim(turnId));
      const orphan = { sessionId: session, turnId, epoch };
      expect(await claims.adopt(orphan, runner, true)).toBeNull();
      expect(await claims.adopt(orphan, other, true)).toBeGreaterThan(epoch);
    });
  });
});
