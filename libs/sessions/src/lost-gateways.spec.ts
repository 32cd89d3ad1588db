import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Append, AppendOutcome, EventLog } from '#libs/event-log';
import type { ProcessAddress } from '#libs/protocol';
import type { Processes } from '#libs/store';
import { LostGateways } from './lost-gateways.js';

const SESSION = '3f2504e0-4f89-41d3-9a0c-0305e82c3301';
const ATTACH = '3f2504e0-4f89-41d3-9a0c-0305e82c3302';
const ME = { slot: 0, incarnation: '3f2504e0-4f89-41d3-9a0c-0305e82c3303' };

/** A scan that finds one surface of a silent gateway each time that the database answers. */
function scene(onlyProcess: ProcessAddress | null) {
  const appended: Append[] = [];
  const problems: string[] = [];
  const database = { answers: true };
  const processes = {
    lostSurfaces: () =>
      database.answers
        ? Promise.resolve([{ sessionId: SESSION, attachId: ATTACH }])
        : Promise.reject(new Error('no answer')),
  } as unknown as Processes;
  const log = {
    append: (events: Append): Promise<AppendOutcome> => {
      appended.push(events);
      return Promise.resolve({
        type: 'appended',
        position: { partition: 0, offset: appended.length },
      });
    },
  } as unknown as EventLog;
  const onProblem = (what: string): void => void problems.push(what);
  const lost = new LostGateways(processes, log, { onlyProcess, onProblem });
  lost.onModuleInit();
  return { appended, problems, database, lost };
}

describe('a surface whose gateway is silent', () => {
  beforeEach(
    () => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] }),
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
          data: { attach_id: ATTACH, reason: 'gateway_lost' },
        }),
      ],
    ]);
  });

  it('is judged only by who was in touch with the database for one lease, anew after an outage [A6]', async () => {
    const { appended, problems, database, lost } = scene(null);
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
});
