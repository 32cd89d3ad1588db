import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { PlainCommand } from '#libs/domain';
import { SESSION, given, sessionLived, sessionOpened } from '#libs/domain/testing';
import type { LogEvent } from '#libs/protocol';
import type { Maintenance, MaintenanceWork } from '#libs/session-log';
import type { SessionList } from '#libs/store';
import { SuspensionTimeout } from './suspension-timeout.js';

const TIMEOUT_MS = 60_000;
const NOW = Date.parse('2026-05-10T15:05:00.000Z');

/** What a scan states of a session that it finds suspended, when it holds the session. */
async function stated(held: ReturnType<typeof given>['session']) {
  const asked: number[] = [];
  const commands: (PlainCommand | null)[] = [];
  const list: Pick<SessionList, 'suspendedSince'> = {
    suspendedSince: (instant) => {
      asked.push(instant);
      return Promise.resolve([SESSION]);
    },
  };
  const maintenance: Pick<Maintenance, 'perform'> = {
    perform: ({ command }: MaintenanceWork) => {
      commands.push(command({ epoch: 40, state: held }));
      return Promise.resolve(held);
    },
  };
  const problems: string[] = [];
  const timeout = new SuspensionTimeout(list as SessionList, maintenance as Maintenance, {
    onlyProcess: null,
    suspendedTimeoutMs: TIMEOUT_MS,
    onProblem: (what) => void problems.push(what),
  });
  timeout.onModuleInit();
  await vi.advanceTimersToNextTimerAsync();
  await timeout.onModuleDestroy();
  expect(problems).toEqual([]);
  return { asked, commands };
}

describe('a session that somebody suspended by its status', () => {
  beforeEach(() => void vi.useFakeTimers({ now: NOW }));
  afterEach(() => void vi.useRealTimers());
  const suspended = (epoch: number, ms: number): LogEvent =>
    sessionLived('suspended', epoch, { at: new Date(NOW - ms).toISOString() });
  const before = [sessionOpened(10), suspended(20, TIMEOUT_MS)] as const;

  // [SBP-L2-67]
  it('fails when nobody resumed it in time', async () => {
    const { asked, commands } = await stated(given(...before).session);
    expect(commands).toEqual([{ type: 'ChangeLife', epoch: 40, to: 'failed' }]);
    expect(asked).toEqual([Date.now() - TIMEOUT_MS]);
  });

  // [SBP-L2-67]
  it('is left alone where it was resumed, or suspended anew, since it was found', async () => {
    const resumed = [...before, sessionLived('running', 30)] as const;
    expect((await stated(given(...resumed).session)).commands).toEqual([null]);
    const anew = given(...resumed, suspended(40, 1)).session;
    expect((await stated(anew)).commands).toEqual([null]);
  });
});
