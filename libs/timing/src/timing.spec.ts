import { expect, it } from 'vitest';
import { Limit, PeriodicTask, TimedOut, backOff, deadline, pause, within } from './index.js';

const never = new Promise<never>(() => undefined);

it('a promise within its time is its value, else it is late', async () => {
  expect(await within(Promise.resolve(1), 60_000)).toBe(1);
  expect(await within(never, 1)).toBe('late');
  await expect(within(Promise.reject(new Error('no')), 60_000)).rejects.toThrow('no');
});

it('a deadline names what it waited for, and ends at once when it is aborted', async () => {
  await expect(deadline('the answer', never, 1)).rejects.toEqual(new TimedOut('the answer', 1));
  const stop = new AbortController();
  const stopped = deadline('the answer', never, 60_000, stop.signal);
  stop.abort();
  await expect(stopped).rejects.toThrow('the answer was stopped');
  await expect(deadline('x', never, 60_000, stop.signal)).rejects.toThrow('stopped');
});

it('a pause and a back-off end early when they are aborted', async () => {
  const stop = new AbortController();
  const waits = [
    pause(600_000, stop.signal),
    backOff(9, stop.signal, { firstMs: 1e6, longestMs: 1e6 }),
  ];
  stop.abort();
  await Promise.all(waits);
  expect(stop.signal.aborted).toBe(true);
});

it('a periodic task never overlaps itself, goes on after a fault, and ends when its run has', async () => {
  let running = 0;
  let runs = 0;
  const faults: unknown[] = [];
  const enough = Promise.withResolvers<undefined>();
  const task = new PeriodicTask({
    everyMs: 1,
    work: async () => {
      running += 1;
      runs += 1;
      expect(running).toBe(1);
      task.runNow();
      await pause(1);
      running -= 1;
      if (runs === 5) enough.resolve(undefined);
      if (runs === 2) throw new Error('second');
    },
    onFault: (error) => faults.push(error),
  });
  task.start();
  await enough.promise;
  await task.stop();
  const ended = runs;
  await pause(20);
  expect([running, runs]).toEqual([0, ended]);
  expect(faults).toEqual([new Error('second')]);
});

it('a limit lets so many work at once, the others in turn, also after one has failed', async () => {
  const limit = new Limit(2);
  const order: number[] = [];
  let running = 0;
  let most = 0;
  const work = (index: number) =>
    limit.run(async () => {
      order.push(index);
      running += 1;
      most = Math.max(most, running);
      await pause(1);
      running -= 1;
      if (index === 1) throw new Error('one');
      return index;
    });
  const ended = await Promise.allSettled([0, 1, 2, 3, 4].map(work));
  expect(ended.map(({ status }) => status)).toEqual([
    'fulfilled',
    'rejected',
    'fulfilled',
    'fulfilled',
    'fulfilled',
  ]);
  expect([order, most]).toEqual([[0, 1, 2, 3, 4], 2]);
});
