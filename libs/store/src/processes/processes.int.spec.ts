import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ProcessAddress } from '#libs/protocol';
import { raw, sql } from '#libs/sql';
import {
  ATTACH,
  id,
  instant,
  sessionOpened,
  surfaceAttached,
  surfaceDetached,
  turnAdopted,
  turnCompleted,
  turnStarted,
} from '#libs/domain/testing';
import { DIALECTS, openTestStore } from '#libs/store/testing';
import type { TestStore } from '#libs/store/testing';
import { Claims } from '../claims/claims.js';
import { Heartbeat } from './heartbeat.js';
import { ProcessIdentity } from './process-identity.js';
import { LEASE_MS, Processes } from './processes.js';

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

  async function setHeartbeat({ slot }: ProcessAddress, at: string): Promise<void> {
    await store.database.write(
      (transaction) =>
        sql(transaction)`UPDATE processes SET heartbeat_at = ${raw(at)} WHERE slot = ${slot}`,
    );
  }

  /** Makes a process look as if its last heartbeat were so long ago. */
  const silence = (process: ProcessAddress, ms: number): Promise<void> =>
    setHeartbeat(process, `${store.database.nowMs} - ${ms}`);

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

    it('is not free before that', async () => {
      const first = await lease();
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
  });

  describe('a heartbeat', () => {
    it('tells of the claims that the process still holds', async () => {
      const claims = new Claims(store.database);
      const [me, other] = [await lease(), await lease()];
      const claim = async (sessionId: string, runner: ProcessAddress) => {
        const outcome = await claims.claim({ sessionId, turnId: randomUUID(), runner });
        return outcome.type === 'claimed' ? outcome.epoch : 0;
      };
      const [mine, released] = [await claim(id(1), me), await claim(id(2), me)];
      await claim(id(3), other);
      await claims.release(id(2), released, 1);
      expect(await processes.heartbeat(me)).toEqual({
        type: 'alive',
        held: new Set([`${id(1)} ${mine}`]),
      });
    });

    it('of a process that was never listed is refused', async () => {
      expect(await processes.heartbeat({ slot: 5, incarnation: randomUUID() })).toEqual({
        type: 'refused',
      });
    });

    it('makes a process that was silent count as living again', async () => {
      const [me, other] = [await lease(), await lease()];
      await silence(me, 20_000);
      await processes.reaped(me);
      await processes.heartbeat(me);
      expect(await processes.unreaped(other, false)).toEqual([]);
      await silence(me, 20_000);
      expect(await processes.unreaped(other, false)).toEqual([me]);
    });

    it('is sent by itself, and tells a process that its slot is another’s now', async () => {
      const me = await lease();
      const onRefused = vi.fn();
      const onFailed = vi.fn();
      const onHeld = vi.fn();
      const heartbeat = new Heartbeat(processes, new ProcessIdentity(me), { onRefused, onFailed });
      heartbeat.onHeld(onHeld);
      heartbeat.start();
      await vi.waitFor(() => expect(onHeld).toHaveBeenCalled(), { timeout: 10_000 });
      expect(heartbeat.isSteady()).toBe(false);
      await store.clear('processes');
      await vi.waitFor(() => expect(onRefused).toHaveBeenCalled(), { timeout: 10_000 });
      await heartbeat.stop();
      expect(onFailed).not.toHaveBeenCalled();
    });
  });

  describe('the dead', () => {
    it('whose last answers nobody has looked at are found after two leases, each once', async () => {
      const [me, dead] = [await lease(), await lease()];
      await silence(dead, LEASE_MS + 1_000);
      expect(await processes.unreaped(me, false)).toEqual([]);
      await silence(dead, 2 * LEASE_MS + 1_000);
      expect(await processes.unreaped(me, false)).toEqual([dead]);
      await processes.reaped(dead);
      expect(await processes.unreaped(me, false)).toEqual([]);
    });

    it('are all the others at once where the file lock proves it', async () => {
      const [me, other] = [await lease(), await lease()];
      expect(await processes.unreaped(me, true)).toEqual([other]);
    });

    it('owe the turns that they ended within two seconds of their last heartbeat, or later', async () => {
      const [runner, other] = [await lease(), await lease()];
      const turn = (
        number: number,
        endedAfter: number,
        by = runner,
        caller: 'connected' | 'gone' = 'connected',
      ) => {
        const told = { session: id(number), turn: id(100 + number) };
        return [
          sessionOpened(10, told),
          turnStarted(10, { ...told, runner: by }),
          turnCompleted(10, { ...told, caller, at: instant(endedAfter) }),
        ];
      };
      const open = [
        sessionOpened(10, { session: id(7) }),
        turnStarted(10, { session: id(7), turn: id(107), runner }),
      ];
      // Adopted from another: who ended it counts.
      const adopted = [
        ...turn(8, 0, other).slice(0, 2),
        turnAdopted(20, { session: id(8), turn: id(108), runner }),
        turnCompleted(20, { session: id(8), turn: id(108), at: instant(10_000) }),
      ];
      await store.fold(
        ...turn(1, 7_999),
        ...turn(2, 8_001),
        ...turn(3, 10_000),
        ...turn(4, 60_000),
        ...turn(5, 10_000, other),
        ...turn(6, 10_000, runner, 'gone'),
        ...open,
        ...adopted,
      );
      await setHeartbeat(runner, String(Date.parse(instant(10_000))));
      const found = await processes.undelivered(runner);
      expect(found.map(({ turnId }) => turnId).sort()).toEqual([
        id(102),
        id(103),
        id(104),
        id(108),
      ]);
      expect(found).toContainEqual({ sessionId: id(3), turnId: id(103) });
    });
  });

  // [SBP-L2-25]
  describe('lost surfaces', () => {
    const attach = (gateway: ProcessAddress, session = id(1), attachId = ATTACH) => [
      sessionOpened(10, { session }),
      turnStarted(10, { session }),
      surfaceAttached(attachId, { session, gateway }),
    ];

    it('are those whose gateway is silent, or lives another life', async () => {
      const [alive, silent] = [await lease(), await lease()];
      const earlier = { slot: alive.slot, incarnation: randomUUID() };
      await store.fold(
        ...attach(alive),
        ...attach(silent, id(2), id(22)),
        ...attach(earlier, id(3), id(33)),
      );
      await silence(silent, LEASE_MS + 1);
      const lost = await processes.lostSurfaces(null, 10);
      expect([...lost].sort((a, b) => (a.sessionId < b.sessionId ? -1 : 1))).toEqual([
        { sessionId: id(2), attachId: id(22) },
        { sessionId: id(3), attachId: id(33) },
      ]);
      expect(await processes.lostSurfaces(null, 1)).toHaveLength(1);
      await processes.heartbeat(silent);
      expect(await processes.lostSurfaces(null, 10)).toEqual([
        { sessionId: id(3), attachId: id(33) },
      ]);
    });

    it('are not those that left by themselves', async () => {
      await store.fold(
        ...attach({ slot: 9, incarnation: randomUUID() }),
        surfaceDetached(ATTACH, { session: id(1) }),
      );
      expect(await processes.lostSurfaces(null, 10)).toEqual([]);
    });

    it('are all that another process held, where this one is known to be the only one', async () => {
      const [me, other] = [await lease(), await lease()];
      await store.fold(...attach(me), ...attach(other, id(2), id(22)));
      expect(await processes.lostSurfaces(me, 10)).toEqual([
        { sessionId: id(2), attachId: id(22) },
      ]);
    });
  });
});
