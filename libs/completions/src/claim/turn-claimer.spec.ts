import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SESSION, given, sessionOpened } from '#libs/domain/testing';
import type { ClaimOutcome, Claims, Freshness, SessionReads, Transcripts } from '#libs/store';
import { ProcessIdentity } from '#libs/store';
import type { SessionReleases } from '#libs/session-log';
import type { CompletionsOptions } from '../completions-options.js';
import { trackedRequest } from '../testing/test-request.js';
import type { Admission } from './admission.js';
import { Conversations } from './conversations.js';
import { TurnClaimer } from './turn-claimer.js';

const request = trackedRequest();

interface Faked {
  readonly claims: Pick<Claims, 'claim'> & Partial<Pick<Claims, 'open'>>;
  readonly presence: 'present' | 'absent';
  readonly wait?: SessionReleases['wait'];
}

function claimer({ claims, presence, wait }: Faked): TurnClaimer {
  const admission = {
    mustBeOpen: () => undefined,
    mustBeWritable: () => undefined,
    newSession: () => SESSION,
  } as unknown as Admission;
  return new TurnClaimer(
    claims as Claims,
    {
      presence: () => Promise.resolve(presence),
      seen: () => undefined,
    } as unknown as Freshness,
    {} as SessionReads,
    new ProcessIdentity({ slot: 0, incarnation: SESSION }),
    { wait } as unknown as SessionReleases,
    admission,
    new Conversations({} as Transcripts, {} as CompletionsOptions),
  );
}

/** A session that is not folded for ever; waiting for it takes its time on the faked clock. */
function claimerOfUnfoldedSession(): TurnClaimer {
  const refused: ClaimOutcome = { type: 'refused', sessionId: SESSION, head: 1, seen: null };
  return claimer({
    claims: { claim: () => Promise.resolve(refused) },
    presence: 'present',
    wait: (_sessionId, ms) => Promise.resolve(void vi.advanceTimersByTime(ms)),
  });
}

describe('a session that is not folded', () => {
  const target = { type: 'session', sessionId: SESSION } as const;
  beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
  afterEach(() => void vi.useRealTimers());

  // [SBP-L1-16]
  it('is refused after 60 s', async () => {
    const begun = performance.now();
    const claiming = claimerOfUnfoldedSession().claim(target, request, () => true);
    await expect(claiming).rejects.toMatchObject({ code: 'SBP_SESSION_CONFLICT' });
    expect(performance.now() - begun).toBeGreaterThan(60_000);
    expect(performance.now() - begun).toBeLessThan(61_000);
  });

  it('is given up at once when its caller goes away', async () => {
    const begun = performance.now();
    const isWanted = (): boolean => performance.now() - begun < 1_000;
    expect(await claimerOfUnfoldedSession().claim(target, request, isWanted)).toBeNull();
    expect(performance.now() - begun).toBeLessThan(2_000);
  });
});

describe('the live session of an agent', () => {
  it('is opened anew where the one that was joined had never been opened', async () => {
    const replaced: unknown[] = [];
    const tries: ClaimOutcome[] = [{ type: 'refused', sessionId: SESSION, head: -1, seen: null }];
    const claiming = claimer({
      claims: {
        claim: () => Promise.resolve(tries.shift() ?? { type: 'none' }),
        open: ({ replaces }) => {
          replaced.push(replaces);
          return Promise.resolve({ type: 'opened', epoch: 7 });
        },
      },
      presence: 'absent',
    }).claim({ type: 'live' }, request, () => true);
    expect(await claiming).toMatchObject({ type: 'claimed', turn: { epoch: 7 } });
    expect(replaced).toEqual([{ sessionId: SESSION }]);
  });

  it('that another request opens at the same moment is joined, and waited for', async () => {
    const replaced: unknown[] = [];
    const { state } = given(sessionOpened(1));
    const tries: ClaimOutcome[] = [
      { type: 'none' },
      { type: 'refused', sessionId: SESSION, head: 0, seen: { state, foldedTo: 1 } },
    ];
    let waits = 0;
    const claiming = claimer({
      claims: {
        claim: () => Promise.resolve(tries.shift() ?? { type: 'none' }),
        open: ({ replaces }) => {
          replaced.push(replaces);
          return Promise.resolve({ type: 'joined', sessionId: SESSION });
        },
      },
      presence: 'present',
      wait: () => {
        waits++;
        return Promise.resolve();
      },
    }).claim({ type: 'live' }, request, () => true);
    expect(await claiming).toEqual({
      type: 'busy',
      session: { sessionId: SESSION, endedBefore: 0, tokenGeneration: 0 },
    });
    expect(waits).toBe(1);
    expect(replaced).toEqual(['join']);
  });
});
