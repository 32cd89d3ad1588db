import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { id, surfaceDetached } from '#libs/domain/testing';
import type { ProcessAddress } from '#libs/protocol';
import { raw, sql } from '#libs/sql';
import {
  DIALECTS,
  aProcess,
  attachedSession,
  idleSession,
  openTestStore,
  turnOf,
} from '#libs/store/testing';
import type { TestStore } from '#libs/store/testing';
import { Claims } from '../claims/claims.js';
import { ProcessWatch } from './process-watch.js';
import { HEARTBEAT_MS, LEASE_MS, Processes } from './processes.js';

describe.each(DIALECTS)('processes on %s', (dialect) => {
  let store: TestStore;
  let processes: Processes;

  beforeAll(async () => {
    store = await openTestStore(dialect);
    processes = new Processes(store.database);
  });
  afterAll(() => store.close());
  beforeEach(() => store.clear());

  const lease = (): Promise<ProcessAddress> => processes.lease(randomUUID());
  const sign = async ({ incarnation }: ProcessAddress) =>
    (await processes.signs()).find((each) => each.incarnation === incarnation);

  /** Makes a process look as if its last heartbeat were so long ago. */
  async function silence({ slot }: ProcessAddress, ms: number): Promise<void> {
    const at = raw(`${store.database.nowMs} - ${ms}`);
    await store.database.write(
      (transaction) =>
        sql(transaction)`UPDATE processes SET heartbeat_at = ${at} WHERE slot = ${slot}`,
    );
  }

  describe('a slot', () => {
    it('is leased to one process, however many ask at once', async () => {
      const leases = await Promise.all(Array.from({ length: 12 }, lease));
      expect(leases.map(({ slot }) => slot).sort((a, b) => a - b)).toEqual(
        Array.from({ length: 12 }, (_, slot) => slot),
      );
    });

    it('is free again a minute after its last heartbeat, once the dead one’s answers were looked at', async () => {
      const [first, second] = [await lease(), await lease()];
      await silence(first, 60_001);
      expect(await lease()).toMatchObject({ slot: 2 });
      await processes.reaped(first);
      const heir = await lease();
      expect(heir.slot).toBe(first.slot);
      expect(await processes.heartbeat(first)).toEqual({ type: 'refused' });
      expect((await processes.heartbeat(heir)).type).toBe('alive');
      expect((await processes.heartbeat(second)).type).toBe('alive');
    });

    it('is not free before that, also where the process has left', async () => {
      const first = await lease();
      await processes.leave(first);
      await silence(first, 59_000);
      await processes.reaped(first);
      expect(await lease()).toMatchObject({ slot: 1 });
    });

    it('that is free goes to one of many', async () => {
      const dead = [await lease(), await lease()];
      for (const each of dead) {
        await silence(each, 60_001);
        await processes.reaped(each);
      }
      const leases = await Promise.all(Array.from({ length: 6 }, lease));
      // Who loses the race for a free one may take a new one.
      const slots = new Set(leases.map(({ slot }) => slot));
      expect(slots.size).toBe(6);
      expect(slots).toContain(0);
    });

    it('begins its next life without what the last one left behind', async () => {
      const first = await lease();
      await processes.heartbeat(first);
      await processes.leave(first);
      await processes.reaped(first);
      await silence(first, 60_001);
      const heir = await lease();
      expect(await sign(heir)).toEqual({ ...heir, beat: 0, hasLeft: false, reaped: false });
      expect(await sign(first)).toBeUndefined();
    });
  });

  describe('a heartbeat', () => {
    it('tells of the claims that the process still holds', async () => {
      const claims = new Claims(store.database);
      const [me, other] = [await lease(), await lease()];
      const claim = async (number: number, runner: ProcessAddress) => {
        await store.fold(...idleSession(number));
        const [sessionId, turnId] = [id(number), randomUUID()];
        const target = { type: 'session', sessionId, principal: null } as const;
        const outcome = await claims.claim({ target, turnId, runner });
        return { sessionId, turnId, epoch: outcome.type === 'claimed' ? outcome.epoch : 0 };
      };
      const [mine, released] = [await claim(1, me), await claim(2, me)];
      await claim(3, other);
      await claims.release({ ...released, head: 1, answeredBy: null });
      expect(await processes.heartbeat(me)).toEqual({ type: 'alive', held: [mine] });
    });

    it('of a process that was never listed is refused', async () => {
      expect(await processes.heartbeat(aProcess(5))).toEqual({ type: 'refused' });
    });

    it('raises the beat by one, of this process alone', async () => {
      const [me, other] = [await lease(), await lease()];
      for (const beat of [1, 2, 3]) {
        await processes.heartbeat(me);
        expect(await sign(me)).toMatchObject({ beat });
      }
      expect(await sign(other)).toMatchObject({ beat: 0 });
    });

    it('makes a process that was taken for dead one to be seen to again', async () => {
      const me = await lease();
      await processes.reaped(me);
      expect(await sign(me)).toMatchObject({ reaped: true });
      await processes.heartbeat(me);
      expect(await sign(me)).toMatchObject({ reaped: false });
    });
  });

  describe('the dead', () => {
    /** As the scans do: looks at the table once a second, on a clock of its own. */
    async function watchFor(ms: number, beats: readonly ProcessAddress[]): Promise<ProcessWatch> {
      const watch = new ProcessWatch();
      for (let now = 0; now <= ms; now += HEARTBEAT_MS) {
        for (const process of beats) await processes.heartbeat(process);
        watch.observe(await processes.signs(), now);
      }
      return watch;
    }

    it('are those whose beat does not rise, whatever the database’s clock says', async () => {
      const [alive, dead] = [await lease(), await lease()];
      await silence(alive, 3_600_000);
      await silence(dead, -3_600_000);
      const watch = await watchFor(LEASE_MS, [alive]);
      expect(watch.isSilent(alive.incarnation)).toBe(false);
      expect(watch.isSilent(dead.incarnation)).toBe(true);
    });

    it('are those that have left, at once', async () => {
      const [one, other] = [await lease(), await lease()];
      const watch = await watchFor(LEASE_MS, [one, other]);
      await processes.leave(other);
      await processes.heartbeat(one);
      watch.observe(await processes.signs(), LEASE_MS + HEARTBEAT_MS);
      expect(watch.isSilent(one.incarnation)).toBe(false);
      expect(watch.isSilent(other.incarnation)).toBe(true);
    });

    it('are noted as seen to, by their life and not by their slot', async () => {
      const [me, other] = [await lease(), await lease()];
      await processes.reaped({ slot: me.slot, incarnation: randomUUID() });
      await processes.leave({ slot: me.slot, incarnation: randomUUID() });
      expect(await sign(me)).toMatchObject({ reaped: false, hasLeft: false });
      await processes.reaped(me);
      expect(await sign(me)).toMatchObject({ reaped: true });
      expect(await sign(other)).toMatchObject({ reaped: false });
    });
  });

  // [SBP-L2-25]
  describe('surfaces', () => {
    it('are held by gateways that are each named once, whatever the number of surfaces', async () => {
      const [one, two] = [aProcess(1), aProcess(2)];
      expect(await processes.gateways()).toEqual([]);
      await store.fold(
        ...[1, 2, 3].flatMap((number) => attachedSession(number, one)),
        ...attachedSession(4, two),
        ...idleSession(5),
      );
      expect([...(await processes.gateways())].sort()).toEqual(
        [one.incarnation, two.incarnation].sort(),
      );
    });

    it('of the gateways named are found, and of no others, as many as asked for', async () => {
      const [alive, silent, earlier] = [aProcess(1), aProcess(2), aProcess(1)];
      await store.fold(
        ...attachedSession(1, alive),
        ...attachedSession(2, silent),
        ...attachedSession(3, earlier),
      );
      const lost = [silent.incarnation, earlier.incarnation];
      const found = await processes.surfacesOf(lost, 10);
      expect([...found].sort((a, b) => (a.sessionId < b.sessionId ? -1 : 1))).toEqual(
        [2, 3].map((number) => ({ sessionId: id(number), attachId: turnOf(number).attachId })),
      );
      expect(await processes.surfacesOf(lost, 1)).toHaveLength(1);
      expect(await processes.surfacesOf([], 10)).toEqual([]);
    });

    it('that left by themselves are nobody’s any more', async () => {
      const gateway = aProcess(9);
      const { session, attachId } = turnOf(1);
      await store.fold(...attachedSession(1, gateway), surfaceDetached(attachId, { session }));
      expect(await processes.gateways()).toEqual([]);
      expect(await processes.surfacesOf([gateway.incarnation], 10)).toEqual([]);
    });
  });
});
