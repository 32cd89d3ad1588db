import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
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
