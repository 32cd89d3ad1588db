import { afterEach, describe, expect, it, vi } from 'vitest';
import { initialState } from '#libs/domain';
import type { Append, AppendOutcome, EventLog } from '#libs/event-log';
import { DEFAULT_DEMO_OPTIONS, DemoModel, PriceList } from '#libs/llm';
import type { DemoOptions } from '#libs/llm';
import type { Mailbox } from '#libs/mailbox';
import type { Freshness, SessionReads } from '#libs/store';
import { ProcessIdentity } from '#libs/store';
import type { Caller } from '../http/caller.js';
import { LiveTurns } from '#libs/live';
import { ModelAnswerReader } from '../model/model-answer.js';
import type { SessionReleases } from '../claim/session-releases.js';
import type { TurnAttempt } from './turn-attempt.js';
import { TurnFacts } from './turn-facts.js';
import { TurnRunner } from './turn-runner.js';

const SESSION = '3f2504e0-4f89-41d3-9a0c-0305e82c3301';
const TURN = '3f2504e0-4f89-41d3-9a0c-0305e82c3302';

function attempt(stream: boolean): TurnAttempt {
  return {
    sessionId: SESSION,
    turnId: TURN,
    epoch: 1,
    state: initialState,
    opener: { principal: 'anonymous', agentId: 'anonymous' },
    request: {
      update: { keeps: 0, messages: [{ role: 'user', content: 'Hello.' }], system: null },
      model: 'm',
      options: { stream },
      checkpointEvery: 1,
    },
    messages: [{ role: 'user', content: 'Hello.' }],
    adopted: false,
  };
}

/**
 * A runner on a log that acknowledges when it is told to, and all that happens to log, claim and
 * caller, in order.
 */
function scene(stream: boolean, demo: Partial<DemoOptions> = {}) {
  const seen: string[] = [];
  const pending: (() => void)[] = [];
  const append = (events: Append): Promise<AppendOutcome> =>
    new Promise((resolve) => {
      seen.push(`append ${events.map(({ type }) => type).join(' ')}`);
      pending.push(() => {
        seen.push('acknowledged');
        resolve({ type: 'appended', position: { partition: 0, offset: seen.length } });
      });
    });
  const presence = { connected: true, told: true };
  const end = (what: string): Promise<boolean> => {
    seen.push(what);
    return Promise.resolve(presence.told);
  };
  const caller: Caller = {
    get connected() {
      return presence.connected;
    },
    onGone: () => undefined,
    begin: () => void seen.push('begin'),
    chunk: (data) => {
      const { choices, sbp } = JSON.parse(data) as {
        choices: { finish_reason: string | null }[];
        sbp?: object;
      };
      seen.push(
        sbp !== undefined
          ? 'sbp'
          : choices.some((each) => each.finish_reason !== null)
            ? 'finish'
            : 'chunk',
      );
    },
    done: () => end('done'),
    answer: (_head, _session, body) => end(`answer with ${'sbp' in body ? 'sbp' : 'nothing'}`),
    relay: () => end('relay'),
    fail: (error) => end(`fail ${error.code}`),
  };
  const releases = {
    release: (_id: string, _epoch: number, head: number | null) =>
      Promise.resolve(seen.push(head === null ? 'released' : 'released at its head') > 0),
  } as unknown as SessionReleases;
  const model = new DemoModel({
    ...DEFAULT_DEMO_OPTIONS,
    ttftMs: 0,
    tokens: 5,
    intervalMs: 0,
    ...demo,
  });
  const runner = new TurnRunner(
    new TurnFacts(
      { append } as unknown as EventLog,
      new ProcessIdentity({ slot: 0, incarnation: SESSION }),
    ),
    releases,
    {} as Freshness,
    {} as SessionReads,
    model,
    new ModelAnswerReader(model, new PriceList([])),
    new LiveTurns({} as Mailbox),
  );
  const session = { sessionId: SESSION, sessionToken: 't' };
  return {
    seen,
    presence,
    run: () => runner.run(attempt(stream), { caller, session, showUsage: false }),
    /** Acknowledges the append that waits, once there is one. */
    acknowledge: async () => {
      await vi.waitFor(() => expect(pending).not.toEqual([]));
      pending.shift()?.();
    },
    until: (what: string) => vi.waitFor(() => expect(seen).toContain(what)),
  };
}

/** Lets everything happen that does not wait for the log. */
async function quiet(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
}

afterEach(() => void vi.useRealTimers());

// [SBP-L1-31]
describe('no byte leaves', () => {
  it('before the start is acknowledged, and no end of a stream before the end is', async () => {
    const { seen, run, acknowledge, until } = scene(true);
    const running = run();
    await quiet();
    expect(seen).toEqual(['append session.opened turn.started']);
    await acknowledge();
    await until('append turn.completed');
    await quiet();
    expect(seen.slice(0, 3)).toEqual([
      'append session.opened turn.started',
      'acknowledged',
      'begin',
    ]);
    expect(seen.filter((what) => what === 'chunk').length).toBeGreaterThanOrEqual(5);
    // [SBP-L1-32]
    expect(seen).not.toContain('finish');
    expect(seen.at(-1)).toBe('append turn.completed');
    await acknowledge();
    await running;
    expect(seen.slice(seen.indexOf('append turn.completed'))).toEqual([
      'append turn.completed',
      'acknowledged',
      'released at its head',
      'finish',
      'sbp',
      'done',
    ]);
  });

  it('of a whole answer before the end is acknowledged', async () => {
    const { seen, run, acknowledge, until } = scene(false);
    const running = run();
    await acknowledge();
    await until('append turn.completed');
    await quiet();
    expect(seen.at(-1)).toBe('append turn.completed');
    await acknowledge();
    await running;
    expect(seen.slice(-2)).toEqual(['released at its head', 'answer with sbp']);
  });
});

describe('a model that fails', () => {
  // [SBP-L1-36]
  it('is recorded before its caller is told', async () => {
    const { seen, run, acknowledge } = scene(true, { fail: { type: 'break', after: 2, every: 1 } });
    const running = run();
    await acknowledge();
    await acknowledge();
    await running;
    expect(seen.slice(seen.indexOf('append turn.failed'))).toEqual([
      'append turn.failed',
      'acknowledged',
      'released at its head',
      'fail SBP_UPSTREAM_UNAVAILABLE',
    ]);
    expect(seen).not.toContain('done');
  });

  // [SBP-L1-05]
  it('by a status of its own has that passed on', async () => {
    const { seen, run, acknowledge } = scene(false, {
      fail: { type: 'status', status: 429, every: 1 },
    });
    const running = run();
    await acknowledge();
    await acknowledge();
    await running;
    expect(seen).toContain('append turn.failed');
    expect(seen.at(-1)).toBe('relay');
  });
});

// [SBP-L1-37]
it('an answer that could not be written whole is owed to the surface', async () => {
  const { seen, presence, run, acknowledge } = scene(false);
  presence.told = false;
  const running = run();
  await acknowledge();
  await acknowledge();
  await acknowledge();
  await running;
  expect(seen.slice(-3)).toEqual(['answer with sbp', 'append turn.undelivered', 'acknowledged']);
});

// [SBP-L1-38]
it('a log that does not take the start in time is told as 503, and the turn is cancelled when it does', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const { seen, run, acknowledge } = scene(true);
  const running = run();
  await vi.advanceTimersByTimeAsync(10_000);
  await running;
  expect(seen).toEqual(['append session.opened turn.started', 'fail SBP_UPSTREAM_UNAVAILABLE']);
  vi.useRealTimers();
  await acknowledge();
  await acknowledge();
  await vi.waitFor(() => expect(seen.at(-1)).toBe('released at its head'));
  expect(seen.slice(2)).toEqual([
    'acknowledged',
    'append turn.cancelled',
    'acknowledged',
    'released at its head',
  ]);
});
