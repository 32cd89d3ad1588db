import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SESSION, id, sessionOpened, turnCompleted, turnStarted, user } from '#libs/domain/testing';
import type { LogEvent } from '#libs/protocol';
import { raw, sql } from '#libs/sql';
import { DIALECTS, plansOf } from '#libs/store/testing';
import { TrailStage } from '../testing/trail-stage.js';
import { chainAfter, recordHash } from './chain.js';
import { Trail } from './trail.js';

const SAID = 'My name is Ada.';
const by = {
  principal: 'alice',
  via: 'http',
  address: '203.0.113.7',
  request_id: 'req-1',
} as const;

function turns(count: number): LogEvent[] {
  return Array.from({ length: count }, (_, at) => {
    const told = { turn: id(0x700 + at), after: at, keeps: 2 * at };
    return [
      { ...turnStarted(10 * (at + 1), { ...told, messages: [user(SAID)] }), by },
      turnCompleted(10 * (at + 1), told),
    ];
  }).flat();
}

describe.each(DIALECTS)('the audit trail on %s', (dialect) => {
  let stage: TrailStage;

  beforeEach(async () => {
    stage = await TrailStage.open(dialect);
  });
  afterEach(() => stage.close());

  it('has for each record who did what to which session from where, and nothing that was said', async () => {
    const last = await stage.append(sessionOpened(10), ...turns(1));
    await stage.catchUp();
    const rows = await stage.rows('audit_records');
    expect(rows.map(({ type }) => type)).toEqual([
      'session.opened',
      'turn.started',
      'turn.completed',
    ]);
    expect(rows[1]).toMatchObject({
      ...{ partition: 0, offset: last - 1, session_id: SESSION, turn_id: id(0x700) },
      ...{ principal: 'alice', via: 'http', address: '203.0.113.7', request_id: 'req-1' },
    });
    expect(JSON.stringify(rows)).not.toContain('Ada');
    expect(await stage.verify(true)).toMatchObject({
      intact: true,
      partitions: [{ records: 3, pending: 0, damage: null }],
    });
  });

  it('chains the exact bytes of the records, as the page for consumers says', async () => {
    await stage.append(sessionOpened(10), ...turns(1));
    await stage.catchUp();
    const rows = await stage.rows('audit_records');
    let chain = '0'.repeat(64);
    for await (const batch of stage.log.read(0, 0)) {
      for (const { position, raw: bytes } of batch) {
        chain = chainAfter(chain, position, recordHash(bytes));
        const row = rows.find(({ offset }) => offset === position.offset);
        expect(row).toMatchObject({ record_hash: recordHash(bytes), chain });
      }
    }
  });

  it('is the same however the log was cut into batches, and after a replay', async () => {
    await stage.append(sessionOpened(10), ...turns(6));
    const found: unknown[] = [];
    for (const size of [200, 1, 4]) {
      await stage.clear('audit_records', 'audit_heads', 'audit_checkpoints', 'consumer_positions');
      await stage.catchUp(size);
      found.push(await stage.rows('audit_records'));
      expect(await stage.verify(true)).toMatchObject({ intact: true });
    }
    expect(found[1]).toEqual(found[0]);
    expect(found[2]).toEqual(found[0]);
  });

  it('goes on exactly where it was, and has nothing of a batch that failed', async () => {
    await stage.append(sessionOpened(10), ...turns(2));
    await stage.catchUp(2);
    const before = await stage.rows('audit_records');
    await stage.append(...(turns(4).slice(4) as [LogEvent]));
    await stage.tamper(
      `INSERT INTO audit_records SELECT 0, "offset" + 3, NULL, 'x', NULL, NULL, NULL, NULL, NULL, NULL, NULL,
        chain, chain, chain FROM audit_records WHERE "offset" = (SELECT MAX("offset") FROM audit_records)`,
    );
    // The third of four collides with a row, so the batch fails.
    await expect(stage.catchUp()).rejects.toThrow();
    await stage.tamper(`DELETE FROM audit_records WHERE type = 'x'`);
    expect(await stage.rows('audit_records')).toEqual(before);
    await stage.catchUp();
    expect(await stage.rows('audit_records')).toHaveLength(9);
    expect(await stage.verify(true)).toMatchObject({ intact: true });
  });

  it('has a record that cannot be read, by its bytes, and a repeat of an event as its own', async () => {
    const opened = sessionOpened(10);
    const unknown = { ...opened, type: 'session.dreamt' } as unknown as LogEvent;
    const malformed = { ...opened, data: 5 } as unknown as LogEvent;
    await stage.append(opened, unknown, malformed, opened);
    await stage.catchUp();
    const rows = await stage.rows('audit_records');
    expect(rows.map(({ type, event_id }) => [type, event_id])).toEqual([
      ['session.opened', opened.id],
      ['unreadable', null],
      ['unreadable', null],
      ['session.opened', opened.id],
    ]);
    expect(rows[0]?.['record_hash']).toBe(rows[3]?.['record_hash']);
    expect(new Set(rows.map(({ chain }) => chain)).size).toBe(4);
    expect(await stage.verify(true)).toMatchObject({ intact: true });
  });

  it('takes whatever stands in a record, bounded', async () => {
    const principal = `${'\u{1f600}'.repeat(300)}\0`;
    await stage.append({ ...sessionOpened(10), by: { ...by, principal, request_id: '\0' } });
    await stage.catchUp();
    const [row] = await stage.rows('audit_records');
    expect(row).toMatchObject({ principal: '\u{1f600}'.repeat(256), request_id: '\ufffd' });
    expect(await stage.verify(true)).toMatchObject({ intact: true });
  });

  it('passes over what it has when its consumer begins again, as after a rebuild', async () => {
    await stage.append(sessionOpened(10), ...turns(2));
    await stage.catchUp();
    const before = await stage.rows('audit_records');
    await stage.append(...(turns(3).slice(4) as [LogEvent]));
    await stage.clear('consumer_positions');
    await stage.catchUp(4);
    const rows = await stage.rows('audit_records');
    expect(rows.slice(0, before.length)).toEqual(before);
    expect(rows).toHaveLength(7);
    expect(await stage.verify(true)).toMatchObject({ intact: true });
  });

  it('does not go on where its end was cut', async () => {
    await stage.append(sessionOpened(10), ...turns(1));
    await stage.catchUp();
    await stage.clear('audit_records', 'audit_heads', 'audit_checkpoints');
    await stage.append(...(turns(2).slice(2) as [LogEvent]));
    await expect(stage.catchUp()).rejects.toThrow(
      /trail of partition 0 ends at 0, before its consumer's position/,
    );
  });

  it('is signed at checkpoints: after so many records, and once a minute while something is new', async () => {
    const rule = { everyRecords: 4, everyMs: 60_000 };
    const numbers = async () =>
      (await stage.rows('audit_checkpoints')).map(({ records }) => records);
    await stage.append(sessionOpened(10));
    await stage.catchUp(1, rule);
    expect(await numbers()).toEqual([1]);
    await stage.append(...(turns(4).slice(0, 5) as [LogEvent]));
    await stage.catchUp(1, rule);
    expect(await numbers()).toEqual([1, 5]);
    await stage.append(...(turns(4).slice(5, 6) as [LogEvent]));
    await stage.catchUp(1, rule);
    stage.now += 60_000;
    await stage.catchUp(1, rule);
    expect(await numbers()).toEqual([1, 5]);
    await stage.append(...(turns(4).slice(6, 7) as [LogEvent]));
    await stage.catchUp(1, rule);
    expect(await numbers()).toEqual([1, 5, 8]);
    expect(await stage.verify(true)).toMatchObject({
      intact: true,
      partitions: [{ checkpoints: 3 }],
    });
  });

  it('keeps a chain for each partition', async () => {
    await stage.append(sessionOpened(10), ...turns(1));
    await stage.catchUp();
    const records = (await Array.fromAsync(stage.log.read(0, 0))).flat();
    const moved = records.map((record) => ({
      ...record,
      raw: record.raw,
      position: { partition: 7, offset: record.position.offset - 1 },
    }));
    const batch = { consumer: 'audit', partition: 7, from: 0, next: 3, records: moved, live: true };
    await stage.take(new Trail(stage.seals), batch);
    const rows = await stage.rows('audit_records');
    expect(rows.map(({ partition, record_hash }) => [partition, record_hash])).toEqual([
      ...records.map(({ raw: bytes }) => [0, recordHash(bytes)]),
      ...records.map(({ raw: bytes }) => [7, recordHash(bytes)]),
    ]);
    expect(new Set(rows.map(({ chain }) => chain)).size).toBe(6);
    expect(await stage.verify()).toMatchObject({
      intact: true,
      partitions: [{ partition: 0 }, { partition: 7, records: 3 }],
    });
  });
});

describe.each(DIALECTS)('the tables of the trail on %s', (dialect) => {
  let stage: TrailStage;

  beforeAll(async () => {
    stage = await TrailStage.open(dialect);
  });
  afterAll(() => stage.close());

  it('are, after the migrations, what the entities say', async () => {
    const pending = await stage.database.write(async ({ dataSource }) => {
      const { upQueries } = await dataSource.driver.createSchemaBuilder().log();
      return upQueries.map(({ query }) => query);
    });
    expect(pending).toEqual([]);
  });

  it('are read by an index, whatever is asked for [A11]', async () => {
    const hash = '0'.repeat(64);
    await stage.database.write(
      (transaction) => sql(transaction)`
        INSERT INTO audit_records
        WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
        SELECT 0, i, NULL, 't', 'session ' || (i / 10), NULL, NULL, 'principal ' || (i / 100), NULL,
          NULL, NULL, ${raw(`'${hash}', '${hash}', '${hash}'`)} FROM n`,
    );
    await stage.database.write((transaction) => sql(transaction)`ANALYZE`);
    const all = { sessionId: null, principal: null, partition: null };
    for (const filter of [
      all,
      { ...all, partition: 0 },
      { ...all, sessionId: 'session 7' },
      { ...all, principal: 'principal 7' },
    ]) {
      const plans = await plansOf(stage.database, async (database) => {
        const { TrailReads } = await import('./trail-reads.js');
        await new TrailReads(database).page(filter, { partition: 0, offset: 10_000 }, 10);
      });
      expect(plans.map(({ isSearch, plan }) => [isSearch, plan])).toEqual([
        [true, expect.any(String)],
      ]);
    }
  });
});
