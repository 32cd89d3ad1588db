import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Append, AppendOutcome, EventLog } from '#libs/event-log';
import type { ProcessAddress } from '#libs/protocol';
import { SessionLog } from '#libs/session-log';
import type { Freshness, Processes } from '#libs/store';
import { LostGateways } from './lost-gateways.js';

const SESSION = '3f2504e0-4f89-41d3-9a0c-0305e82c3301';
const ATTACH = '3f2504e0-4f89-41d3-9a0c-0305e82c3302';
const ME = { slot: 0, incarnation: '3f2504e0-4f89-41d3-9a0c-0305e82c3303' };
const GATEWAY = { slot: 1, incarnation: '3f2504e0-4f89-41d3-9a0c-0305e82c3304' };

/** A scan beside a gateway that holds one surface, and whose beat stands still. */
function scene(onlyProcess: ProcessAddress | null) {
  const appended: Append[] = [];
  const problems: string[] = [];
  const database = { answers: true, beat: 1, hasLeft: false };
  const answer = <T>(value: T): Promise<T> =>
    database.answers ? Promise.resolve(value) : Promise.reject(new Error('no answer'));
  const processes: Pick<Processes, 'gateways' | 'signs' | 'surfacesOf'> = {
    gateways: () => answer([GATEWAY.incarnation]),
    signs: () => {
      const { beat, hasLeft } = database;
      return answer([{ ...GATEWAY, beat, hasLeft, reaped: false }]);
    },
    surfacesOf: (incarnations) =>
      answer(
        incarnations.includes(GATEWAY.incarnation)
          ? [{ sessionId: SESSION, attachId: ATTACH }]
          : [],
      ),
  };
  const log: Pick<EventLog, 'append'> = {
    append: (events: Append): Promise<AppendOutcome> => {
      appended.push(events);
      return Promise.resolve({
        type: 'appended',
        position: { partition: 0, offset: appended.length },
      });
    },
  };
  const onProblem = (what: string): void => void problems.push(what);
  const lost = new LostGateways(
    processes as Processes,
    // It waits for no fold.
    new SessionLog(log as EventLog, {} as Freshness),
    { onlyProcess, suspendedTimeoutMs: null, onProblem },
  );
  lost.onModuleInit();
  return { appended, problems, database, lost };
}

describe('a surface whose gateway is silent', () => {
  beforeEach(
    () => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }),
  );
  afterEach(() => void vi.useRealTimers());

  // [SBP-L2-25]
  it('is detached in the log, at once where every other process is known to be dead', async () => {
    const { appended, lost } = scene(ME);
    await vi.advanceTimersByTimeAsync(1_000);
    await lost.onModuleDestroy();
    expect(appended).toEqual([
      [
        expect.objectContaining({
          type: 'surface.detached',
          session_id: SESSION,
          by: { principal: null, via: 'system' },
          data: { attach_id: ATTACH, reason: 'gateway_lost' },
        }),
      ],
    ]);
  });

  it('is never its own, where every other process is known to be dead', async () => {
    const { appended, lost } = scene(GATEWAY);
    await vi.advanceTimersByTimeAsync(3_000);
    await lost.onModuleDestroy();
    expect(appended).toEqual([]);
  });

  it('is judged only by who has watched its beat for one lease, anew after an outage [A6]', async () => {
    const { appended, problems, database, lost } = scene(null);
    // The first look is after one second, and the lease ends four seconds after it.
    await vi.advanceTimersByTimeAsync(4_000);
    expect(appended).toEqual([]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(appended).toHaveLength(1);
    database.answers = false;
    await vi.advanceTimersByTimeAsync(1_000);
    expect(problems).toEqual(['looking for lost gateways failed']);
    database.answers = true;
    await vi.advanceTimersByTimeAsync(4_000);
    expect(appended).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(appended).toHaveLength(2);
    await lost.onModuleDestroy();
  });

  it('stays while the gateway’s beat rises, and goes at once when it has left', async () => {
    const { appended, database, lost } = scene(null);
    for (let second = 0; second < 12; second++) {
      database.beat += 1;
      await vi.advanceTimersByTimeAsync(1_000);
    }
    expect(appended).toEqual([]);
    database.hasLeft = true;
    await vi.advanceTimersByTimeAsync(1_000);
    expect(appended).toHaveLength(1);
    await lost.onModuleDestroy();
  });
});
