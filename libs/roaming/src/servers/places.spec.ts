import { expect, it } from 'vitest';
import { Places } from './places.js';

const LONG = 3_600_000;

it('places are given in turn, and no more wait than may', async () => {
  const places = new Places({ most: 1, mostWaiting: 2, waitMs: LONG });
  expect(await places.enter()).toBe(true);
  const order: string[] = [];
  const waiting = ['second', 'third'].map(async (who) => {
    expect(await places.enter()).toBe(true);
    order.push(who);
  });
  expect(await places.enter()).toBe(false);
  places.leave();
  await waiting[0];
  expect(order).toEqual(['second']);
  places.leave();
  await waiting[1];
  places.leave();
  expect(await places.enter()).toBe(true);
});

it('whoever has waited in vain leaves his turn to others', async () => {
  const places = new Places({ most: 1, mostWaiting: 1, waitMs: 1 });
  expect(await places.enter()).toBe(true);
  expect(await places.enter()).toBe(false);
  expect(await places.enter()).toBe(false);
  places.leave();
  expect(await places.enter()).toBe(true);
});
