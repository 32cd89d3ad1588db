import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { id, turnAdopted, turnCompleted } from '#libs/domain/testing';
import { sql } from '#libs/sql';
import {
  DIALECTS,
  aProcess,
  costOf,
  idleSession,
  nextTurn,
  openTestStore,
  runningSession,
  turnOf,
} from '#libs/store/testing';
import type { TestStore } from '#libs/store/testing';
import { SessionReads } from '../reads/session-reads.js';
import type { ClaimOutcome, ClaimTarget, OpenRequest, Release } from './claims.js';
import { Claims } from './claims.js';
import { Orphans } from './orphans.js';

type Claimed = Extract<ClaimOutcome, { type: 'claimed' }>;

describe.each(DIALECTS)('claims on %s', (dialect) => {
  const runner = aProcess(1);
  const other = aProcess(2);
  const session = id(1);
  let store: TestStore;
  let claims: Claims;

  beforeAll(async () => {
    store = await openTestStore(dialect);
  });
  afterAll(() => store.close());
  beforeEach(async () => {
    await store.clear();
    claims = new Claims(store.database);
  });

  const ofSession = (sessionId = session, principal: string | null = null): ClaimTarget => ({
    type: 'session',
    sessionId,
    principal,
  });
  const claim = (
    turnId: string = randomUUID(),
    by = runner,
    target = ofSession(),
  ): Promise<ClaimOutcome> => claims.claim({ target, turnId, runner: by });

  /** A claim that must be won. */
  async function won(turnId: string = randomUUID(), by = runner, target = ofSession()) {
    const outcome = await claim(turnId, by, target);
    if (outcome.type !== 'claimed') throw new Error('it was refused');
    return { ...outcome, turnId };
  }

  const release = (
    { sessionId, epoch, turnId }: Pick<Claimed, 'sessionId' | 'epoch'> & { turnId: string },
    head: number | null,
    answeredBy: Release['answeredBy'] = null,
  ) => claims.release({ sessionId, turnId, epoch, head, answeredBy });

  const request = (replaces: OpenRequest['replaces'], agentId = 'agent'): OpenRequest => ({
    sessionId: randomUUID(),
    turnId: randomUUID(),
    runner,
    principal: 'anonymous',
    agentId,
    replaces,
  });

  describe('claiming', () => {
    it('gives an epoch not below the database’s clock, and no head where none is known', async () => {
      await store.fold(...idleSession(1));
      const before = await store.now();
      const claimed = await won();
      expect(claimed).toMatchObject({ type: 'claimed', sessionId: session, head: -1 });
      expect(claimed.epoch).toBeGreaterThanOrEqual(before);
    });

    it('says what the read models show, and how far they are', async () => {
      await store.fold(...idleSession(1));
      await store.foldedTo(17);
      const state = await new SessionReads(store.database).state(session);
      const claimed = await won();
      expect(claimed.seen).toEqual({ state, foldedTo: 17 });
      expect(await claim()).toEqual({
        type: 'refused',
        sessionId: session,
        head: -1,
        seen: { state, foldedTo: 17 },
      });
    });

    it('is refused of a session that is not folded: nobody knows whose it is', async () => {
      expect(await claim()).toEqual({
        type: 'refused',
        sessionId: session,
        head: -1,
        seen: null,
      });
      expect(await store.rows('claims')).toEqual([]);
    });

    it('is refused while somebody holds the claim, whoever asks', async () => {
      await store.fold(...idleSession(1));
      await won();
      expect(await claim()).toMatchObject({ type: 'refused' });
      expect(await claim(randomUUID(), other)).toMatchObject({ type: 'refused' });
    });

    it('goes to exactly one of many at once', async () => {
      await store.fold(...idleSession(1));
      for (const held of [true, false]) {
        const outcomes = await Promise.all(Array.from({ length: 12 }, () => claim()));
        expect(outcomes.filter(({ type }) => type === 'claimed')).toHaveLength(held ? 1 : 0);
      }
    });

    it('is refused while the fold has an open turn, whatever the claim row says', async () => {
      await store.fold(...runningSession(1));
      expect(await claim()).toMatchObject({
        type: 'refused',
        seen: { state: { turn: { turnId: turnOf(1).turn } } },
      });
      await store.fold(...idleSession(2));
      const target = ofSession(id(2));
      const claimed = await won(randomUUID(), runner, target);
      await store.fold(...nextTurn(2, claimed));
      await release(claimed, 3);
      expect(await claim(randomUUID(), runner, target)).toMatchObject({ type: 'refused' });
      const { turnId: turn, epoch } = claimed;
      await store.fold(turnCompleted(epoch, { session: id(2), turn }));
      expect(await claim(randomUUID(), runner, target)).toMatchObject({ type: 'claimed', head: 3 });
    });

    it('is won while the fold has an open turn but is behind what its release left', async () => {
      await store.fold(...idleSession(1));
      const claimed = await won();
      await store.fold(...nextTurn(1, claimed));
      // Its end is the log's record 4, which nobody has folded yet.
      await release(claimed, 4);
      const { head, seen } = await won();
      expect({ head, foldedTo: seen.foldedTo }).toEqual({ head: 4, foldedTo: 4 });
      expect(seen.state).toMatchObject({ turn: { turnId: claimed.turnId } });
    });

    it('is refused of a session that is another’s, and says so by what it saw', async () => {
      await store.fold(...idleSession(1));
      expect(await claim(randomUUID(), runner, ofSession(session, 'somebody'))).toMatchObject({
        type: 'refused',
        seen: { state: { principal: 'anonymous' } },
      });
      expect(await claim(randomUUID(), runner, ofSession(session, 'anonymous'))).toMatchObject({
        type: 'claimed',
      });
    });

    it('takes an agent’s live session, and says which that is, or that there is none', async () => {
      const live: ClaimTarget = { type: 'live', principal: 'anonymous', agentId: 'agent' };
      expect(await claim(randomUUID(), runner, live)).toEqual({ type: 'none' });
      await store.fold(...idleSession(1, 10), ...idleSession(2, 20));
      const claimed = await won(randomUUID(), runner, live);
      expect(claimed).toMatchObject({ sessionId: id(2), seen: { state: { agentId: 'agent' } } });
      expect(await claim(randomUUID(), runner, live)).toMatchObject({
        type: 'refused',
        sessionId: id(2),
      });
      const another = { ...live, agentId: 'another' };
      expect(await claim(randomUUID(), runner, another)).toEqual({ type: 'none' });
    });

    it('is refused of a live session that was opened and is not folded yet', async () => {
      const opening = request('join');
      await claims.open(opening);
      const live: ClaimTarget = { type: 'live', principal: 'anonymous', agentId: 'agent' };
      expect(await claim(randomUUID(), other, live)).toEqual({
        type: 'refused',
        sessionId: opening.sessionId,
        head: -1,
        seen: null,
      });
    });

    it('gives a higher epoch each time', async () => {
      await store.fold(...idleSession(1));
      const epochs: number[] = [];
      for (let round = 0; round < 5; round++) {
        const claimed = await won();
        epochs.push(claimed.epoch);
        await release(claimed, round);
      }
      expect(epochs).toEqual([...new Set(epochs)].sort((a, b) => a - b));
    });

    it('gives an epoch above the one before even when that lies ahead of the clock', async () => {
      await store.fold(...idleSession(1));
      const ahead = (await store.now()) + 1_000_000;
      await won();
      await store.database.write(
        (transaction) => sql(transaction)`UPDATE claims SET epoch = ${ahead}, turn_id = NULL`,
      );
      expect((await won()).epoch).toBe(ahead + 1);
    });

    it('gives an epoch above all that were lost with the table: the fold’s, and the clock’s [A3]', async () => {
      const folded = (await store.now()) + 1_000_000;
      await store.fold(...idleSession(1, folded), ...idleSession(2));
      await store.clear('claims');
      expect((await won()).epoch).toBe(folded + 1);

      const lost = await won(randomUUID(), runner, ofSession(id(2)));
      await store.clear('claims');
      while ((await store.now()) <= lost.epoch);
      expect((await won(randomUUID(), runner, ofSession(id(2)))).epoch).toBeGreaterThan(lost.epoch);
    });

    it('is above an epoch that was raised for a session that was never opened', async () => {
      const folded = (await store.now()) + 1_000_000;
      await store.fold(turnAdopted(folded, { session }));
      expect(await won()).toMatchObject({
        epoch: folded + 1,
        seen: { state: { phase: 'unopened' } },
      });
    });

    it('is one round trip, won or refused', async () => {
      await store.fold(...idleSession(1));
      const trips = dialect === 'postgres' ? 1 : 0;
      const statements = dialect === 'postgres' ? [1, 1] : [1, 2];
      for (const [index, expected] of ['claimed', 'refused'].entries()) {
        let outcome: ClaimOutcome | undefined;
        const cost = await costOf(store.database, async () => {
          outcome = await claim();
        });
        expect([outcome?.type, cost.roundTrips]).toEqual([expected, trips]);
        expect(cost.statements).toBe(statements[index]);
      }
    });
  });

  describe('release', () => {
    beforeEach(() => store.fold(...idleSession(1)));

    it('is the verdict: true while the claim is held at this epoch, false for ever after', async () => {
      const claimed = await won();
      const { epoch } = claimed;
      expect(await release({ ...claimed, epoch: epoch - 1 }, 1)).toBe(false);
      expect(await release(claimed, 7)).toBe(true);
      expect(await release(claimed, 9)).toBe(false);
      expect(await claims.inspect(session)).toMatchObject({ turnId: null, epoch, head: 7 });
    });

    it('is refused after an adoption [A3]', async () => {
      const claimed = await won();
      const { turnId, epoch } = claimed;
      const orphan = {
        sessionId: session,
        turnId,
        claim: { epoch, incarnation: runner.incarnation },
      };
      const adopted = await new Orphans(store.database, claims.inUse).adopt(orphan, other, null);
      expect(await release(claimed, 5)).toBe(false);
      expect(await claims.inspect(session)).toMatchObject({ turnId, epoch: adopted, head: -1 });
      expect(await release({ ...claimed, epoch: adopted ?? 0 }, 5)).toBe(true);
    });

    it('keeps the head, which never goes back [A5]', async () => {
      for (const head of [12, null, 4]) await release(await won(), head);
      expect(await claims.inspect(session)).toMatchObject({ head: 12 });
      expect(await claim()).toMatchObject({ head: 12 });
    });

    it('of a session that nobody claimed is false', async () => {
      expect(await release({ sessionId: id(9), turnId: id(5), epoch: 1 }, 1)).toBe(false);
      expect(await claims.inspect(id(9))).toBeNull();
    });

    it('is one round trip, and the abandonment of a claim too', async () => {
      const claimed = await won();
      const trips = dialect === 'postgres' ? 1 : 0;
      const cost = await costOf(store.database, () => release(claimed, 7, runner.incarnation));
      expect(cost).toMatchObject({ statements: 1, roundTrips: trips });
      const { sessionId, turnId } = await won();
      expect(await costOf(store.database, () => claims.abandon(sessionId, turnId))).toMatchObject({
        statements: 1,
        roundTrips: trips,
      });
    });
  });

  it('are abandoned by their turn alone, and only while they are of that turn', async () => {
    await store.fold(...idleSession(1));
    const { turnId, epoch } = await won();
    await claims.abandon(session, randomUUID());
    expect(await claims.inspect(session)).toMatchObject({ turnId });
    await claims.abandon(session, turnId);
    expect(await claims.inspect(session)).toMatchObject({ turnId: null, epoch, head: -1 });
  });

  describe('a claim in use', () => {
    it('is one that was won, until it is released', async () => {
      await store.fold(...idleSession(1));
      const claimed = await won();
      expect(claims.inUse.has(claimed.turnId)).toBe(true);
      await release(claimed, null);
      expect(claims.inUse.has(claimed.turnId)).toBe(false);
    });

    it('is none that was refused, or that found a session to join', async () => {
      await store.fold(...idleSession(1));
      await won();
      const turnId = randomUUID();
      await claim(turnId);
      expect(claims.inUse.has(turnId)).toBe(false);
      const joining = request('join');
      expect((await claims.open(joining)).type).toBe('joined');
      expect(claims.inUse.has(joining.turnId)).toBe(false);
    });

    it('is one that is being tried, because the database may have it before its answer is here', async () => {
      await store.fold(...idleSession(1));
      const turnId = randomUUID();
      const trying = claim(turnId);
      expect(claims.inUse.has(turnId)).toBe(true);
      await trying;
    });
  });

  describe('opening a session', () => {
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

    it('by two at once, again and again: one opens and the other joins it', async () => {
      for (let round = 0; round < 20; round++) {
        const [one, two] = [request('join', `agent ${round}`), request('join', `agent ${round}`)];
        const [first, second] = await Promise.all([claims.open(one), claims.open(two)]);
        const [opener, joiner] = first.type === 'opened' ? [one, second] : [two, first];
        expect(joiner).toEqual({ type: 'joined', sessionId: opener.sessionId });
        expect(await claims.inspect(opener.sessionId)).toMatchObject({ turnId: opener.turnId });
      }
    });

    it('claims it, so that nobody else does', async () => {
      const opening = request('join');
      const outcome = await claims.open(opening);
      const { sessionId, turnId } = opening;
      expect(outcome.type).toBe('opened');
      expect(await claims.inspect(sessionId)).toMatchObject({ turnId, head: -1 });
      const target = ofSession(sessionId);
      expect(await claim(randomUUID(), other, target)).toMatchObject({ type: 'refused' });
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

    it('is one round trip, and finding out which to join is one more', async () => {
      const cost = (replaces: OpenRequest['replaces']) =>
        costOf(store.database, () => claims.open(request(replaces)));
      const trips = dialect === 'postgres' ? [1, 1, 2] : [0, 0, 0];
      const costs = [await cost('join'), await cost('any'), await cost('join')];
      expect(costs.map(({ roundTrips }) => roundTrips)).toEqual(trips);
    });
  });
});
