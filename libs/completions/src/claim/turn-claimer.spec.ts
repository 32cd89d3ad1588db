import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CompletionRequest } from '#libs/protocol';
import type { Claims, Freshness, SessionReads } from '#libs/store';
import { ProcessIdentity } from '#libs/store';
import type { SessionReleases } from './session-releases.js';
import type { TrackedRequest } from '../http/tracked-request.js';
import { TurnClaimer } from './turn-claimer.js';

const SESSION = '3f2504e0-4f89-41d3-9a0c-0305e82c3301';

const request: TrackedRequest = {
  credential: { principal: 'anonymous', tokenSession: null },
  agentId: 'anonymous',
  sbp: null,
  checkpointEvery: 1,
  completion: CompletionRequest.parse({
    model: 'm',
    messages: [{ role: 'user', content: 'Hello.' }],
  }),
  options: {},
};

/**
 * A session that somebody else holds for ever; waiting for it takes its time on the faked clock.
 */
function claimerOfBusySession(): TurnClaimer {
  const claims = { claim: () => Promise.resolve({ type: 'refused' }) } as unknown as Claims;
  const freshness = { settle: () => Promise.resolve('present') } as unknown as Freshness;
  const releases = {
    wait: (_sessionId: string, ms: number) =>
      Promise.resolve(void vi.setSystemTime(Date.now() + ms)),
  } as unknown as SessionReleases;
  const identity = new ProcessIdentity({ slot: 0, incarnation: SESSION });
  return new TurnClaimer(claims, freshness, {} as SessionReads, identity, releases);
}

const target = { type: 'session', sessionId: SESSION } as const;

describe('a session that stays busy', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }));
  afterEach(() => void vi.useRealTimers());

  // [SBP-L1-16]
  it('is refused after 60 s', async () => {
    const begun = Date.now();
    const claiming = claimerOfBusySession().claim(target, request, () => true);
    await expect(claiming).rejects.toMatchObject({ code: 'SBP_SESSION_CONFLICT' });
    expect(Date.now() - begun).toBeGreaterThan(60_000);
    expect(Date.now() - begun).toBeLessThan(61_000);
  });

  it('is given up at once when its caller goes away', async () => {
    const begun = Date.now();
    const isWanted = (): boolean => Date.now() - begun < 1_000;
    expect(await claimerOfBusySession().claim(target, request, isWanted)).toBeNull();
    expect(Date.now() - begun).toBeLessThan(2_000);
  });
});

describe('the live session of an agent', () => {
  it('is opened anew where the one that was joined had never been opened', async () => {
    const replaced: unknown[] = [];
    const open: Claims['open'] = ({ replaces }) => {
      replaced.push(replaces);
      return Promise.resolve(
        replaces === 'join' ? { type: 'joined', sessionId: SESSION } : { type: 'opened', epoch: 7 },
      );
    };
    const freshness = { settle: () => Promise.resolve('absent') } as unknown as Freshness;
    const reads = { liveSession: () => Promise.resolve(null) } as unknown as SessionReads;
    const identity = new ProcessIdentity({ slot: 0, incarnation: SESSION });
    const claimer = new TurnClaimer(
      { open } as Claims,
      freshness,
      reads,
      identity,
      {} as SessionReleases,
    );
    expect(await claimer.claim({ type: 'live' }, request, () => true)).toMatchObject({ epoch: 7 });
    expect(replaced).toEqual(['join', { sessionId: SESSION }]);
  });
});
