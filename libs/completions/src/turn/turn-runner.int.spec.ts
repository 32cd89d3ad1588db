import { afterEach, describe, expect, it, vi } from 'vitest';
import { DEFAULT_DEMO_OPTIONS, DemoModel } from '#libs/llm';
import type { DemoOptions } from '#libs/llm';
import type { Release } from '#libs/store';
import type { TestBackend } from '#libs/testing';
import { SessionReleases } from '#libs/session-log';
import { TestCaller } from '../testing/test-caller.js';
import { eventually, useStage } from '../testing/test-stage.js';

const stage = useStage();

/** Releases that are noted when they are done. */
class NotedReleases extends SessionReleases {
  constructor(
    claims: ConstructorParameters<typeof SessionReleases>[0],
    private readonly seen: string[],
  ) {
    super(claims);
  }

  override async release(release: Release): Promise<boolean> {
    const isReleased = await super.release(release);
    this.seen.push(release.head === null ? 'released' : 'released at its head');
    return isReleased;
  }
}

/** A log that takes an append when it is told to. */
function holdAppends({ log }: TestBackend, seen: string[]): (() => void)[] {
  const held: (() => void)[] = [];
  log.obstacle = (events) =>
    new Promise((resolve) => {
      seen.push(`append ${events.map(({ type }) => type).join(' ')}`);
      held.push(() => {
        seen.push('acknowledged');
        resolve();
      });
    });
  return held;
}

/** A turn on such a log, and all that happens to log, claim and caller, in order. */
async function scene(stream: boolean, demo: Partial<DemoOptions> = {}) {
  const seen: string[] = [];
  const fast = { ttftMs: 0, tokens: 5, intervalMs: 0 };
  const completions = await stage.start({
    model: new DemoModel({ ...DEFAULT_DEMO_OPTIONS, ...fast, ...demo }),
    replaced: [{ part: SessionReleases, by: ({ claims }) => new NotedReleases(claims, seen) }],
  });
  const caller = new TestCaller(seen);
  const held = holdAppends(stage.backend, seen);
  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition()) await new Promise((resolve) => setImmediate(resolve));
  };
  return {
    seen,
    caller,
    run: () => completions.turn({ stream }, caller),
    until: (what: string) => until(() => seen.includes(what)),
    /** Lets the append happen that waits, once there is one. */
    acknowledge: async () => {
      await until(() => held.length > 0);
      held.shift()?.();
    },
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
    const { seen, run, acknowledge, until } = await scene(true);
    const running = run();
    await until('append session.opened turn.started');
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
    const { seen, run, acknowledge, until } = await scene(false);
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
    const fail = { type: 'break', after: 2, every: 1 } as const;
    const { seen, caller, run, acknowledge } = await scene(true, { fail });
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
    expect(caller.failure?.headers()).toMatchObject({ 'x-should-retry': 'false' });
  });

  // [SBP-L1-05]
  it('by a status of its own has that passed on', async () => {
    const fail = { type: 'status', status: 429, every: 1 } as const;
    const { seen, run, acknowledge } = await scene(false, { fail });
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
  const { seen, caller, run, acknowledge } = await scene(false);
  caller.isReached = false;
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
  const { seen, caller, run, acknowledge, until } = await scene(true);
  const running = run();
  await until('append session.opened turn.started');
  await vi.advanceTimersByTimeAsync(10_000);
  await running;
  expect(seen).toEqual(['append session.opened turn.started', 'fail SBP_UPSTREAM_UNAVAILABLE']);
  // Nothing has begun: the client may try again.
  expect(caller.failure?.headers()).toEqual({ 'retry-after': '5' });
  vi.useRealTimers();
  await acknowledge();
  await acknowledge();
  await until('released at its head');
  expect(seen.slice(2)).toEqual([
    'acknowledged',
    'append turn.cancelled',
    'acknowledged',
    'released at its head',
  ]);
  await eventually(async () => {
    const [opened] = await stage.backend.events();
    const state = await stage.backend.sessions.state(opened?.session_id ?? '');
    expect(state).toMatchObject({ turn: null, turns: 1, steps: 0 });
  });
});

// [SBP-L1-38]
it('a log that takes the start late is waited for where the caller, who is told nothing, has left', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const { seen, caller, run, acknowledge, until } = await scene(false);
  const running = run();
  await until('append session.opened turn.started');
  caller.leave();
  await vi.advanceTimersByTimeAsync(60_000);
  vi.useRealTimers();
  await acknowledge();
  await acknowledge();
  await running;
  expect(seen).toEqual([
    'append session.opened turn.started',
    'acknowledged',
    'append turn.completed',
    'acknowledged',
    'released at its head',
    // To nobody.
    'answer with sbp',
  ]);
});
