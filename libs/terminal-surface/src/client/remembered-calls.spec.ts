import { describe, expect, it } from 'vitest';
import type { ToolOutcome } from '../tools/tool.js';
import { result } from '../tools/tool.js';
import { RememberedCalls } from './remembered-calls.js';

describe('remembered calls', () => {
  it('are made once, while they run and afterwards', async () => {
    const calls = new RememberedCalls();
    const ended = Promise.withResolvers<ToolOutcome>();
    let made = 0;
    const make = (): Promise<ToolOutcome> => {
      made += 1;
      return ended.promise;
    };
    const first = calls.outcome('a', make);
    const second = calls.outcome('a', make);
    expect(calls.isRunning('a')).toBe(true);
    ended.resolve(result(1));
    expect(await Promise.all([first, second])).toEqual([result(1), result(1)]);
    expect(calls.isRunning('a')).toBe(false);
    expect(await calls.outcome('a', make)).toEqual(result(1));
    expect(made).toBe(1);
  });

  it('are forgotten from the oldest on that has ended', async () => {
    const calls = new RememberedCalls(2);
    const made: string[] = [];
    const call = (id: string, outcome: Promise<ToolOutcome>) =>
      calls.outcome(id, () => {
        made.push(id);
        return outcome;
      });
    const running = Promise.withResolvers<ToolOutcome>();
    const first = call('runs', running.promise);
    await call('ended', Promise.resolve(result(1)));
    await call('new', Promise.resolve(result(2)));
    await call('ended', Promise.resolve(result(3)));
    expect(made).toEqual(['runs', 'ended', 'new', 'ended']);
    running.resolve(result(0));
    expect(await first).toEqual(result(0));
  });

  it('are refused where too many run', async () => {
    const calls = new RememberedCalls(1);
    const running = Promise.withResolvers<ToolOutcome>();
    const first = calls.outcome('a', () => running.promise);
    const refused = await calls.outcome('b', () => Promise.reject(new Error('was made')));
    expect(refused).toMatchObject({ type: 'error' });
    running.resolve(result(0));
    await first;
  });
});
