import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Claims } from '#libs/store';
import type { TestStore } from '#libs/store/testing';
import { openTestStore } from '#libs/store/testing';
import { SessionReleases } from './session-releases.js';

const LONG = 60_000;

/** Claims whose database does not answer for a while. */
class InterruptedClaims extends Claims {
  failures = 0;

  override release(sessionId: string, epoch: number, head: number | null): Promise<boolean> {
    if (this.failures-- > 0) return Promise.reject(new Error('the database is away'));
    return super.release(sessionId, epoch, head);
  }
}

let store: TestStore;
let claims: InterruptedClaims;
let releases: SessionReleases;
beforeEach(async () => {
  store = await openTestStore('sqlite');
  claims = new InterruptedClaims(store.database);
  releases = new SessionReleases(claims);
});
afterEach(() => store.close());

async function claim(sessionId: string): Promise<number> {
  const runner = { slot: 0, incarnation: randomUUID() };
  const outcome = await claims.claim({ sessionId, turnId: randomUUID(), runner });
  if (outcome.type === 'refused') throw new Error('it was refused');
  return outcome.epoch;
}

describe('a release', () => {
  it('says whether the claim was still held', async () => {
    const epoch = await claim('s1');
    expect(await releases.release('s1', epoch, 4)).toBe(true);
    expect(await releases.release('s1', epoch, 4)).toBe(false);
  });

  it('is tried until the database answers: nobody else would release a living process’s claim', async () => {
    const epoch = await claim('s1');
    claims.failures = 2;
    expect(await releases.release('s1', epoch, 4)).toBe(true);
    expect(await claims.inspect('s1')).toMatchObject({ turnId: null, head: 4 });
  });

  it('wakes all who wait for that session, and nobody else', async () => {
    const epoch = await claim('s1');
    const [woken, other] = [vi.fn(), vi.fn()];
    for (let waiter = 0; waiter < 3; waiter++) void releases.wait('s1', LONG).then(woken);
    const others = releases.wait('s2', LONG).then(other);
    await releases.release('s1', epoch, null);
    await vi.waitFor(() => expect(woken).toHaveBeenCalledTimes(3));
    expect(other).not.toHaveBeenCalled();
    await releases.release('s2', 1, null);
    await others;
  });

  it('does not wake who came after it', async () => {
    await releases.release('s1', await claim('s1'), null);
    const woken = vi.fn();
    const waiting = releases.wait('s1', LONG).then(woken);
    await new Promise((resolve) => setImmediate(resolve));
    expect(woken).not.toHaveBeenCalled();
    await releases.release('s1', await claim('s1'), null);
    await waiting;
  });
});

describe('waiting', () => {
  it('ends by itself, since other processes release too', async () => {
    await releases.wait('s1', 1);
    await Promise.all([releases.wait('s1', 1), releases.wait('s1', 2)]);
  });
});
