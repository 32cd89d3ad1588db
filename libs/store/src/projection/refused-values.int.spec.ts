import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { id, sessionOpened, turnCompleted, turnStarted } from '#libs/domain/testing';
import type { LogEvent } from '#libs/protocol';
import { StorageFault, raw, sql } from '#libs/sql';
import { DIALECTS, costOf, idleSession, openTestStore, recordsOf } from '#libs/store/testing';
import type { TestStore } from '#libs/store/testing';
import { Quarantine } from '../quarantine/quarantine.js';
import { SessionQuarantined } from '../quarantine/stored-state.js';
import { SessionReads } from '../reads/session-reads.js';
import { Projection } from './projection.js';

const SICK = id(1);
const FIRST = id(71);

/** An agent's id that no column takes. */
const LONG = 'x'.repeat(300);

/** A session whose row the database refuses. */
const wide: readonly LogEvent[] = idleSession(1).map((event) =>
  event.type === 'session.opened' ? { ...event, data: { ...event.data, agent_id: LONG } } : event,
);

/** A session of which the third event has a number that the column of its turn cannot hold. */
function great(): readonly LogEvent[] {
  const second = { session: SICK, turn: id(72), after: 1, keeps: 2 };
  const started = turnStarted(20, second);
  return [
    sessionOpened(10, { session: SICK }),
    turnStarted(10, { session: SICK, turn: FIRST }),
    turnCompleted(10, { session: SICK, turn: FIRST }),
    { ...started, data: { ...started.data, checkpoint_every: 2 ** 40 } },
    turnCompleted(20, second),
  ];
}

describe.each(DIALECTS)('a value that the database refuses, on %s', (dialect) => {
  let store: TestStore;
  let quarantine: Quarantine;
  let reads: SessionReads;

  beforeAll(async () => {
    store = await openTestStore(dialect);
    quarantine = new Quarantine(store.database, new Projection());
    reads = new SessionReads(store.database);
    if (dialect === 'sqlite') await makeStrict();
  });
  afterAll(() => store.close());
  beforeEach(() => store.clear());

  /** SQLite takes almost anything; here it refuses as Postgres does, by a type that is wrong. */
  async function makeStrict(): Promise<void> {
    const when = {
      sessions: 'length(NEW.agent_id) > 256',
      turns: 'NEW.checkpoint_every > 2147483647',
    };
    await store.database.write(async (transaction) => {
      await sql(transaction)`CREATE TABLE integers (value INTEGER PRIMARY KEY)`;
      for (const [table, condition] of Object.entries(when)) {
        await sql(transaction)`
          CREATE TRIGGER ${raw(`strict_${table}`)} BEFORE INSERT ON ${raw(table)}
          WHEN ${raw(condition)} BEGIN INSERT INTO integers VALUES ('no integer'); END`;
      }
    });
  }

  /** As the projector does: a batch that failed is tried again, by the same projection. */
  async function applyTwice(events: readonly LogEvent[], from = 0) {
    const projection = new Projection();
    const records = recordsOf(events, from);
    const refusal = await store.apply(records, projection).then(
      () => null,
      (error: unknown) => error,
    );
    expect(refusal).toBeInstanceOf(StorageFault);
    expect(refusal).toMatchObject({ kind: 'data' });
    return { projection, applied: await store.apply(records, projection) };
  }

  // [SBP-ERR-10]
  it('quarantines its session, and the others of the batch are folded [A12]', async () => {
    const { applied } = await applyTwice([...idleSession(2), ...wide, ...idleSession(3)]);
    expect(applied.quarantined).toEqual([
      {
        ...{ sessionId: SICK, partition: 0, offset: 3, reason: 'refused' },
        detail: expect.stringMatching(/refused a value \((?:22001|SQLITE_MISMATCH)\)/) as string,
      },
    ]);
    await expect(reads.state(SICK)).rejects.toThrow(SessionQuarantined);
    for (const well of [id(2), id(3)]) {
      expect(await reads.state(well)).toMatchObject({ phase: 'open', steps: 1 });
    }
    const held = await quarantine.events(SICK, 0, 10, { withContent: true });
    expect(held).toMatchObject([
      { offset: 3, eventType: 'session.opened', reason: 'refused' },
      { offset: 4, eventType: 'turn.started', reason: 'behind' },
      { offset: 5, eventType: 'turn.completed', reason: 'behind' },
    ]);
    expect(held.map(({ value }) => value)).toEqual(wide.map((event) => JSON.stringify(event)));
    expect(JSON.stringify(await store.rows('quarantined_sessions'))).not.toContain(LONG);
  });

  it('is that of an event in the middle: what stands before it is folded', async () => {
    const { applied } = await applyTwice(great());
    expect(applied.quarantined).toMatchObject([{ sessionId: SICK, offset: 3 }]);
    expect(await store.rows('turns')).toMatchObject([{ turn_id: FIRST, status: 'completed' }]);
    expect(await quarantine.counts()).toMatchObject({ sessions: 1, events: 2 });
  });

  it('is quarantined once: then batches take no more statements than before', async () => {
    const { projection } = await applyTwice([...wide, ...idleSession(2)]);
    await store.apply(recordsOf([turnStarted(30, { session: SICK })], 6), projection);
    expect(await quarantine.counts()).toMatchObject({ sessions: 1, events: 4 });
    const next = (from: number, by: Projection) =>
      costOf(store.database, () => store.apply(recordsOf(idleSession(from), from), by));
    const [after, before] = [await next(10, projection), await next(20, new Projection())];
    expect(after.statements).toBe(before.statements);
  });

  it('stays held when it is tried again, and what can be folded before it is', async () => {
    const { projection } = await applyTwice(wide);
    const again = new Quarantine(store.database, projection);
    const outcomes: string[] = [];
    await again.retryPartition(0, (_session, { type }) => outcomes.push(type));
    expect(outcomes).toEqual(['held']);
    expect(await again.find(SICK)).toMatchObject({ offset: 0, events: 3, reason: 'refused' });

    // All of it was held behind something else, which a later version can read.
    await store.clear();
    const [first, ...rest] = great();
    if (first === undefined) throw new Error('no event');
    const later = { ...first, schema: 2 } as unknown as LogEvent;
    const unread = { reason: 'unknown_schema' as const, detail: '' };
    const records = recordsOf([later, ...rest]).map((record, at) =>
      at === 0 ? { ...record, event: null, unread } : record,
    );
    await store.apply(records);
    await store.database.write(
      (transaction) => sql(transaction)`
        UPDATE quarantined_events SET value = ${JSON.stringify(first)} WHERE log_offset = ${0}`,
    );
    expect(await again.retry(SICK)).toMatchObject({
      ...{ type: 'held', events: 3, fault: { offset: 3, reason: 'refused' } },
    });
    expect(await store.rows('turns')).toMatchObject([{ turn_id: FIRST, status: 'completed' }]);
  });

  it('is not what is told of a database that is away', async () => {
    const projection = new Projection();
    const records = recordsOf(idleSession(1));
    await store.database.write(async (transaction) => {
      await sql(transaction)`ALTER TABLE turns RENAME TO turns_away`;
    });
    const fault = await store.apply(records, projection).catch((error: unknown) => error);
    const again = await store.apply(records, projection).catch((error: unknown) => error);
    await store.database.write(async (transaction) => {
      await sql(transaction)`ALTER TABLE turns_away RENAME TO turns`;
    });
    expect([fault, again]).toMatchObject([{ kind: 'statement' }, { kind: 'statement' }]);
    expect(await quarantine.counts()).toMatchObject({ sessions: 0 });
  });
});
