import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import type { LogEvent } from '#libs/protocol';
import type { LogRecord } from '../ports/event-log.js';
import { eventOf, eventsOf } from './log-fixture.contract.js';
import type { LogFixture } from './log-fixture.contract.js';

/** What every event log promises to whoever asks for its end, or reads up to it. */
export function describeReading(log: LogFixture): void {
  it('shows an acknowledged append to end and read at once', async () => {
    const event = eventOf(randomUUID(), 1);
    const position = await log.append(event);
    expect(position.partition).toBe(log.partitionOf(event.session_id));
    expect(await log.current.log.end(position.partition)).toBeGreaterThan(position.offset);
    expect(await log.recordsOf(event.session_id, position.offset)).toMatchObject([
      { position, event },
    ]);
  });

  it('gives the exact bytes of a record, also of one that is no event of this version', async () => {
    const session = randomUUID();
    const known = { ...eventOf(session, 1), trace: 'ä \u{1f600} \u0000' };
    const unknown = { ...eventOf(session, 2), type: 'session.of_the_future' };
    const { offset } = await log.append(known, unknown as unknown as LogEvent);
    const { partition } = (await log.recordsOf(session))[0]?.position ?? { partition: 0 };
    const read: LogRecord[] = [];
    for await (const batch of log.current.log.read(partition, offset - 1)) read.push(...batch);
    const raw = read.slice(0, 2).map(({ raw: { key, value } }) => [text(key), text(value)]);
    expect(raw).toEqual([
      [session, JSON.stringify(known)],
      [session, JSON.stringify(unknown)],
    ]);

    const consumer = await log.consumerFromNow(session);
    const subscribed: string[] = [];
    const reader = log.noting(session, consumer, {
      effects: (batch) => {
        subscribed.push(...batch.records.map(({ raw: { value } }) => text(value)));
        return Promise.resolve();
      },
    });
    const last = eventOf(session, 3);
    await log.whileReading(reader, async () => {
      await log.append(last);
      await log.waitUntilNoted(consumer, [last]);
    });
    expect(subscribed).toContain(JSON.stringify(last));
  });

  it('reads from the position asked for to the end as it was when the call began', async () => {
    const session = randomUUID();
    const early = await log.append(eventOf(session, 1));
    const later = eventOf(session, 2);
    await log.append(later);
    const reading = log.current.log.read(early.partition, early.offset + 1);
    await log.append(eventOf(session, 3));

    const seen: LogRecord[] = [];
    for await (const batch of reading) seen.push(...batch);
    expect(eventsOf({ records: seen }, session).map(({ id }) => id)).toEqual([later.id]);
    for await (const batch of log.current.log.read(
      early.partition,
      await log.current.log.end(early.partition),
    )) {
      expect(batch).toEqual([]);
    }
  });
}

function text(bytes: Uint8Array | null): string {
  return Buffer.from(bytes ?? []).toString('utf8');
}
