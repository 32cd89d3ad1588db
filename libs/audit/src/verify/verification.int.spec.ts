import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  id,
  sessionOpened,
  surfaceAttached,
  turnCompleted,
  turnStarted,
} from '#libs/domain/testing';
import type { LogEvent } from '#libs/protocol';
import { raw, sql, tuples } from '#libs/sql';
import { DIALECTS } from '#libs/store/testing';
import { TrailStage } from '../testing/trail-stage.js';
import { chainAfter } from '../trail/chain.js';
import { Seals } from '../trail/seals.js';
import { verdictText } from './verdict-text.js';

const RULE = { everyRecords: 3, everyMs: 3_600_000 };
const by = {
  principal: 'alice',
  via: 'http',
  address: '203.0.113.7',
  request_id: 'req-1',
} as const;
const turn = { turn: id(0x700) };
const EVENTS: readonly [LogEvent, ...LogEvent[]] = [
  { ...sessionOpened(10), by },
  { ...turnStarted(10, turn), by },
  { ...turnCompleted(10, turn), by },
  { ...surfaceAttached(), by },
  { ...turnStarted(20, { turn: id(0x701), after: 1 }), by },
  { ...turnCompleted(20, { turn: id(0x701) }), by },
];

/** Each column of a row, changed in its last character or digit. */
const TEXTS = [
  ...['event_id', 'type', 'session_id', 'turn_id', 'occurred_at', 'principal', 'via', 'address'],
  ...['request_id', 'record_hash', 'chain', 'seal'],
];

describe.each(DIALECTS)('a damaged audit trail on %s', (dialect) => {
  let stage: TrailStage;
  let before: readonly Record<string, unknown>[];
  /** The offset of the first record of the log, of the last, and the one behind it. */
  let first: number;
  let last: number;
  let end: number;

  beforeAll(async () => {
    stage = await TrailStage.open(dialect);
    last = await stage.append(...EVENTS);
    first = last - EVENTS.length + 1;
    end = last + 1;
  });
  afterAll(() => stage.close());
  beforeEach(async () => {
    await stage.clear('audit_records', 'audit_heads', 'audit_checkpoints', 'consumer_positions');
    await stage.catchUp(1, RULE);
    before = await stage.rows('audit_records');
    expect(before).toHaveLength(EVENTS.length);
    expect(await stage.rows('audit_checkpoints')).toHaveLength(2);
    expect(await stage.verify(true)).toMatchObject({ intact: true });
  });

  /** Found without the log, and with it, at this offset, for a reason that says this. */
  async function expectDamage(offset: number, says: RegExp, withLogOnly = false): Promise<void> {
    const found = { partition: 0, offset, problem: expect.stringMatching(says) as string };
    const damaged = { intact: false, partitions: [{ damage: found }] };
    const alone = await stage.verify();
    if (withLogOnly) expect(alone).toMatchObject({ intact: true });
    else expect(alone).toMatchObject(damaged);
    const { partitions, intact } = await stage.verify(true);
    expect(intact).toBe(false);
    expect(partitions[0]?.damage).toMatchObject({ partition: 0, offset });
    expect(verdictText({ partitions, intact })).toContain(`partition 0, offset ${offset}: `);
  }

  const at = (offset: number) => `WHERE "offset" = ${offset}`;
  const changed = (column: string) =>
    `${column} = substr(${column}, 1, length(${column}) - 1) || ` +
    `CASE WHEN substr(${column}, length(${column})) = '0' THEN '1' ELSE '0' END`;

  it.each(TEXTS)('whose %s was changed in one row', async (column) => {
    const offset = first + 2;
    await stage.tamper(`UPDATE audit_records SET ${changed(column)} ${at(offset)}`);
    await expectDamage(offset, /chain does not follow|signature of the row is wrong/);
  });

  it('in which a row says of nobody what somebody did', async () => {
    await stage.tamper(`UPDATE audit_records SET principal = NULL ${at(first)}`);
    await expectDamage(first, /signature of the row is wrong/);
  });

  it.each([0, 1, 3])('from which row %i was removed', async (index) => {
    const offset = first + index;
    await stage.tamper(`DELETE FROM audit_records ${at(offset)}`);
    const alone = await stage.verify();
    expect(alone.partitions[0]?.damage).not.toBeNull();
    // The log says which one.
    expect((await stage.verify(true)).partitions[0]?.damage).toMatchObject({ offset });
  });

  it('in which two rows have changed places', async () => {
    const [one, other] = [first + 1, first + 2];
    for (const [from, to] of [
      [one, -1],
      [other, one],
      [-1, other],
    ] as const) {
      await stage.tamper(`UPDATE audit_records SET "offset" = ${to} ${at(from)}`);
    }
    await expectDamage(one, /chain does not follow/);
  });

  it('into which a row was put', async () => {
    await stage.tamper(
      `INSERT INTO audit_records SELECT "partition", 0, event_id, type, session_id, turn_id, occurred_at,
        principal, via, address, request_id, record_hash, chain, seal FROM audit_records ${at(last)}`,
    );
    await expectDamage(0, /chain does not follow/);
  });

  describe('whose end was cut', () => {
    const cut = () => stage.tamper(`DELETE FROM audit_records WHERE "offset" > ${last - 2}`);

    it('by rows alone', async () => {
      await cut();
      await expectDamage(last - 1, /the end was cut|says otherwise/);
    });

    it('with the head', async () => {
      await cut();
      await stage.clear('audit_heads');
      const { partitions } = await stage.verify();
      // Without a head nothing in the trail is believed.
      expect(partitions[0]?.damage).not.toBeNull();
    });

    it('and the head written to fit', async () => {
      await cut();
      const { chain } = before.at(-3) ?? {};
      await stage.tamper(
        `UPDATE audit_heads SET next_offset = ${last - 1}, records = 4, chain = '${String(chain)}'`,
      );
      await expectDamage(last - 1, /signature of the head/);
    });

    it('and the head put back that it had, while its consumer has read further', async () => {
      await stage.clear('audit_records', 'audit_heads', 'audit_checkpoints', 'consumer_positions');
      const { length } = EVENTS;
      const early = await stageOf(EVENTS.slice(0, length - 2));
      await stage.catchUp(1, RULE);
      await cut();
      await stage.clear('audit_heads');
      await insertHead(early);
      await stage
        .tamper(`DELETE FROM audit_checkpoints WHERE next_offset > ${last - 1}`)
        .catch(() => undefined);
      await expectDamage(last - 1, /consumer has read to .* the end was cut/);
    });

    it('entirely', async () => {
      await stage.clear('audit_records', 'audit_heads', 'audit_checkpoints');
      await expectDamage(0, /consumer has read to .* the end was cut/);
    });
  });

  /** The head that a trail of these records has. */
  async function stageOf(events: readonly LogEvent[]): Promise<Record<string, unknown>> {
    const early = await TrailStage.open('sqlite');
    try {
      await early.append(...(events as [LogEvent]));
      await early.catchUp(1, RULE);
      const [head = {}] = await early.rows('audit_heads');
      return head;
    } finally {
      await early.close();
    }
  }

  async function insertHead(head: Record<string, unknown>): Promise<void> {
    const columns = Object.keys(head);
    await stage.database.write(
      (transaction) => sql(transaction)`
        INSERT INTO audit_heads (${raw(columns.map((name) => `"${name}"`).join(', '))})
        VALUES ${tuples([Object.values(head) as (string | number)[]])}`,
    );
  }

  it('whose head was changed', async () => {
    await stage.tamper(`UPDATE audit_heads SET ${changed('signature')}`);
    await expectDamage(end, /signature of the head/);
  });

  it('that goes on behind its head', async () => {
    await stage.tamper(
      `INSERT INTO audit_records SELECT "partition", ${end + 5}, event_id, type, session_id, turn_id, occurred_at,
        principal, via, address, request_id, record_hash, chain, seal FROM audit_records ${at(last)}`,
    );
    await expectDamage(end + 5, /behind the head/);
  });

  it.each([1, 2])('from which checkpoint %i was removed', async (number) => {
    await stage.tamper(`DELETE FROM audit_checkpoints WHERE number = ${number}`);
    const { partitions } = await stage.verify();
    expect(partitions[0]?.damage?.problem).toMatch(/checkpoint \d is missing/);
  });

  it.each(['at', 'records', 'next_offset'])(
    'of whose checkpoint %s was changed',
    async (column) => {
      await stage.tamper(`UPDATE audit_checkpoints SET ${column} = ${column} + 1 WHERE number = 2`);
      const { partitions } = await stage.verify();
      expect(partitions[0]?.damage?.problem).toMatch(/signature of checkpoint 2|says otherwise/);
    },
  );

  it('that somebody without the secret has written anew, from one record on', async () => {
    const forger = new Seals(Buffer.from('another secret, of whoever forges'));
    let chain = '0'.repeat(64);
    const forged = before.map((row) => {
      const { partition, offset } = row as { partition: number; offset: number };
      const recordHash = offset === first + 1 ? 'ab'.repeat(32) : String(row['record_hash']);
      chain = chainAfter(chain, { partition, offset }, recordHash);
      const fields = {
        ...{ partition, offset, recordHash, chain, type: String(row['type']) },
        ...{ eventId: String(row['event_id']), sessionId: String(row['session_id']) },
        ...{ turnId: row['turn_id'] as string | null, occurredAt: String(row['occurred_at']) },
        ...{ principal: String(row['principal']), via: String(row['via']) },
        ...{ address: String(row['address']), requestId: String(row['request_id']) },
      };
      return { offset, recordHash, chain, seal: forger.record(fields) };
    });
    for (const { offset, recordHash, chain: next, seal } of forged) {
      await stage.tamper(
        `UPDATE audit_records SET record_hash = '${recordHash}', chain = '${next}', seal = '${seal}' ${at(offset)}`,
      );
    }
    await expectDamage(first, /signed with another secret/);
  });

  it('of a log that was changed, which only a comparison with the log finds', async () => {
    const body = await stage.logDatabase.read(
      async (reader) =>
        (await sql(reader)<{ body: string }>`SELECT body FROM log_records ${raw(at(first + 1))}`)
          .rows[0]?.body ?? '',
    );
    const write = (text: string) =>
      stage.logDatabase.write(
        (transaction) => sql(transaction)`
          UPDATE log_records SET body = ${text} ${raw(at(first + 1))}`,
      );
    await write(body.replace('alice', 'mallory'));
    try {
      // Past what the log keeps in memory, as another process reads it.
      await stage.forgetTail();
      await expectDamage(first + 1, /the record in the log is another one/, true);
    } finally {
      await write(body);
      await stage.forgetTail();
    }
  });

  it('is told from one that is only behind the log', async () => {
    await stage.clear('audit_records', 'audit_heads', 'audit_checkpoints', 'consumer_positions');
    expect(await stage.verify(true)).toMatchObject({
      intact: true,
      partitions: [{ records: 0, pending: end }],
    });
  });
});
