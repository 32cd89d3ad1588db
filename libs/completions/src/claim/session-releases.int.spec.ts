import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Release } from '#libs/store';
import { Claims } from '#libs/store';
import { TestBackend } from '#libs/testing';
import { SessionReleases } from '#libs/session-log';

const LONG = 60_000;

/** Claims whose database does not answer for a while. */
class InterruptedClaims extends Claims {
  failures = 0;

  override release(release: Release): Promise<boolean> {
    if (this.failures-- > 0) return Promise.reject(new Error('the database is away'));
    return super.release(release);
  }
}

let backend: TestBackend;
let claims: InterruptedClaims;
let releases: SessionReleases;
beforeEach(async () => {
  backend = await TestBackend.open();
  claims = new InterruptedClaims(backend.database);
  releases = new SessionReleases(claims);
});
afterEach(() => backend.close());

/** The release of a claim that was just won, on a session of its own. */
async function claimed(head: number | null = null): Promise<Release> {
  const [sessionId, turnId] = [randomUUID(), randomUUID()];
  const opened = await claims.open({
    sessionId,
    turnId,
    runner: { slot: 0, incarnation: randomUUID() },
    principal: 'anonymous',
    agentId: 'agent',
    replaces: 'any',
  });
  if (opened.type !== 'opened') throw new Error('it was not opened');
  return { sessionId, turnId, epoch: opened.epoch, head, answeredBy: null };
}

describe('a release', () => {
  it('says whether the claim was still held', async () => {
    const release = await claimed(4);
    expect(await releases.release(release)).toBe(true);
    expect(await releases.release(release)).toBe(false);
  });

  it('is tried until the database answers: nobody else would release a living process’s claim', async () => {
    const release = await claimed(4);
    claims.failures = 2;
    expect(await releases.release(release)).toBe(true);
    expect(await claims.inspect(release.sessionId)).toMatchObject({ turnId: null, head: 4 });
  });

  it('wakes all who wait for that session, and nobody else', async () => {
    const [release, another] = [await claimed(), await claimed()];
    const [woken, other] = [vi.fn(), vi.fn()];
    for (let waiter = 0; waiter < 3; waiter++) {
      void releases.wait(release.sessionId, LONG).then(woken);
    }
    const others = releases.wait(another.sessionId, LONG).then(other);
    await releases.release(release);
    await vi.waitFor(() => expect(woken).toHaveBeenCalledTimes(3));
    expect(other).not.toHaveBeenCalled();
    await releases.release(another);
    await others;
  });

  it('does not wake who came after it', async () => {
    const release = await claimed();
    await releases.release(release);
    const woken = vi.fn();
    const waiting = releases.wait(release.sessionId, LONG).then(woken);
    await new Promise((resolve) => setImmediate(resolve));
    expect(woken).not.toHaveBeenCalled();
    await releases.release(release);
    await waiting;
  });
});

describe('waiting', () => {
  it('ends by itself, since other processes release too', async () => {
    await releases.wait('s1', 1);
    await Promise.all([releases.wait('s1', 1), releases.wait('s1', 2)]);
  });
});
