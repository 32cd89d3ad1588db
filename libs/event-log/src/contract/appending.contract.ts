import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { LIMITS } from '#libs/protocol';
import { eventOf, ids, largeEventOf } from './log-fixture.contract.js';
import type { LogFixture } from './log-fixture.contract.js';

/** What every event log promises to whoever appends. */
export function describeAppending(log: LogFixture): void {
  it('can be reached, and says what it is', async () => {
    await log.current.log.check();
    expect(log.current.log.description).not.toBe('');
    expect(log.partitionOf(randomUUID())).toBeLessThan(log.current.log.partitions);
  });

  it('keeps the appends of a session in the order in which they were made, however many are made at once', async () => {
    const sessions = Array.from({ length: 5 }, () => randomUUID());
    const events = Array.from({ length: 200 }, (_, n) => eventOf(sessions[n % 5] ?? '', n));
    const positions = await Promise.all(events.map((event) => log.append(event)));

    for (const session of sessions) {
      const mine = events.filter((event) => event.session_id === session);
      const offsets = positions
        .filter((_, n) => events[n]?.session_id === session)
        .map(({ offset }) => offset);
      expect(await log.idsOf(session)).toEqual(ids(mine));
      expect((await log.recordsOf(session)).map(({ position }) => position.offset)).toEqual(
        offsets,
      );
      expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
      expect(new Set(offsets).size).toBe(offsets.length);
    }
  });

  it('writes the events of one append one after another, all of them, among the appends of others', async () => {
    const appends = Array.from({ length: 40 }, (_, n) => {
      const session = randomUUID();
      return [eventOf(session, 1), eventOf(session, 2), eventOf(session, n + 3)] as const;
    });
    const positions = await Promise.all(appends.map((events) => log.append(...events)));

    for (const [n, events] of appends.entries()) {
      const records = await log.recordsOf(events[0].session_id);
      const last = positions[n]?.offset ?? 0;
      expect(records.map(({ event }) => event)).toEqual(events);
      expect(records.map(({ position }) => position.offset)).toEqual([last - 2, last - 1, last]);
    }
  });

  // [SBP-L2-01]
  it('keeps what was acknowledged when it is closed and opened again, and goes on behind it', async () => {
    const session = randomUUID();
    const first = eventOf(session, 1);
    const before = await log.append(first);
    await log.reopen();
    const second = eventOf(session, 2);
    const after = await log.append(second);
    expect(after.offset).toBeGreaterThan(before.offset);
    expect(await log.idsOf(session)).toEqual([first.id, second.id]);
  });

  it('takes an append that was not waited for before a close', async () => {
    const event = eventOf(randomUUID(), 1);
    const appended = log.append(event);
    await log.reopen();
    await appended;
    expect(await log.idsOf(event.session_id)).toEqual([event.id]);
  });

  it('refuses alone what is too large for it; what waited with it is written', async () => {
    const session = randomUUID();
    const small = Array.from({ length: 20 }, (_, n) => eventOf(session, n));
    const outcomes = await Promise.all([
      ...small.slice(0, 10).map((event) => log.current.log.append([event])),
      log.current.log.append([largeEventOf(session, LIMITS.logRecord + 1)]),
      log.current.log.append([
        eventOf(randomUUID(), 1),
        largeEventOf(randomUUID(), LIMITS.logRecord + 1),
      ]),
      ...small.slice(10).map((event) => log.current.log.append([event])),
    ]);
    expect(outcomes[10]).toMatchObject({ type: 'rejected', reason: 'too_large' });
    expect(outcomes[11]).toMatchObject({ type: 'rejected', reason: 'too_large' });
    expect(outcomes.filter(({ type }) => type === 'appended')).toHaveLength(20);
    expect(await log.idsOf(session)).toEqual(ids(small));
  });

  it('takes the largest event that a request body can make', async () => {
    const event = largeEventOf(randomUUID(), LIMITS.requestBody);
    const small = eventOf(event.session_id, 1);
    await Promise.all([log.append(event), log.append(small)]);
    expect(await log.idsOf(event.session_id)).toEqual([event.id, small.id]);
  });
}
