import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { id, sessionOpened, turnQueued, turnStarted } from '#libs/domain/testing';
import { raw, sql } from '#libs/sql';
import { DIALECTS, openTestStore } from '#libs/store/testing';
import type { TestStore } from '#libs/store/testing';
import { TurnKeys, idempotencyName } from './turn-keys.js';

const DAY_MS = 24 * 60 * 60 * 1000;

describe.each(DIALECTS)('the keys of turns on %s', (dialect) => {
  const key = { principal: 'anonymous', agentId: 'agent', name: idempotencyName('k') };
  const turn = (number: number) => ({
    turnId: id(number),
    bodyHash: 'b'.repeat(64),
    holder: id(0x900 + number),
  });
  let store: TestStore;
  let keys: TurnKeys;

  beforeAll(async () => {
    store = await openTestStore(dialect);
  });
  afterAll(() => store.close());
  beforeEach(async () => {
    await store.clear();
    keys = new TurnKeys(store.database);
  });

  const find = () => keys.find(key, DAY_MS);
  const age = (ms: number) =>
    store.database.write(
      (transaction) => sql(transaction)`
        UPDATE turn_keys SET created_at = created_at - ${raw(String(ms))}`,
    );

  it('belong to whoever takes them first, of many at once', async () => {
    const taken = await Promise.all(Array.from({ length: 8 }, (_, at) => keys.take(key, turn(at))));
    expect(taken.filter((held) => held === null)).toHaveLength(1);
    const held = await find();
    expect(held).toMatchObject({ sessionId: null, caller: 'there' });
    for (const other of taken) if (other !== null) expect(other).toEqual(held);
  });

  it('are the turn’s own where it takes them twice', async () => {
    expect(await keys.take(key, turn(1))).toBeNull();
    expect(await keys.take(key, turn(1))).toBeNull();
  });

  it('are known for a day', async () => {
    await keys.take(key, turn(1));
    await age(DAY_MS - 60_000);
    expect(await keys.take(key, turn(2))).toMatchObject({ turnId: id(1) });
    await keys.prune();
    expect(await find()).not.toBeNull();
    await age(120_000);
    expect(await keys.take(key, turn(2))).toBeNull();
    await age(DAY_MS + 1);
    await keys.prune();
    expect(await store.rows('turn_keys')).toEqual([]);
  });

  it('are bound to a session by the turn that has them only', async () => {
    await keys.take(key, turn(1));
    expect(await keys.bind(key, id(2), id(50))).toBe(false);
    expect(await keys.bind(key, id(1), id(50))).toBe(true);
    expect(await find()).toMatchObject({ turnId: id(1), sessionId: id(50) });
  });

  it('are taken over only as they were seen', async () => {
    await keys.take(key, turn(1));
    const seen = await find();
    if (seen === null) throw new Error('nobody has it');
    await keys.bind(key, id(1), id(50));
    expect(await keys.retake(key, seen, turn(2))).toBe(false);
    const bound = await find();
    if (bound === null) throw new Error('nobody has it');
    expect(await keys.retake(key, bound, turn(2))).toBe(true);
    expect(await keys.retake(key, bound, turn(3))).toBe(false);
    expect(await keys.bind(key, id(1), id(51))).toBe(false);
    expect(await find()).toMatchObject({ turnId: id(2), sessionId: null });
  });

  it('are free again where the turn that had them did not begin', async () => {
    await keys.take(key, turn(1));
    await keys.giveBack(key, id(2));
    expect(await find()).not.toBeNull();
    await keys.giveBack(key, id(1));
    expect(await find()).toBeNull();
  });

  it('say what became of whoever asked first', async () => {
    await keys.record(key, turn(1), id(50));
    await keys.tell(key, id(1), 'gone');
    expect(await find()).toMatchObject({ caller: 'gone' });
    await keys.record(key, turn(2), id(50));
    await keys.tell(key, id(1), 'answered');
    expect(await find()).toMatchObject({ turnId: id(2), caller: 'there' });
    await age(60_000);
    expect(await keys.find(key, 30_000)).toBeNull();
  });

  it('are known from the log alone [A4]', async () => {
    const at = new Date().toISOString();
    const started = turnStarted(10, { at });
    const queued = turnQueued({ turn: id(7), at });
    const hash = 'c'.repeat(64);
    await store.fold(
      sessionOpened(10),
      { ...started, data: { ...started.data, idempotency_key: 'k', body_hash: hash } },
      { ...queued, data: { ...queued.data, idempotency_key: 'other', body_hash: hash } },
    );
    expect(await find()).toMatchObject({
      turnId: started.turn_id,
      sessionId: started.session_id,
      bodyHash: hash,
    });
    expect(await keys.take({ ...key, name: idempotencyName('other') }, turn(1))).toMatchObject({
      turnId: id(7),
    });
    // A turn whose key another one has taken over does not get it back.
    await keys.record(key, turn(2), id(50));
    await store.fold({ ...started, data: { ...started.data, idempotency_key: 'k' } });
    expect(await find()).toMatchObject({ turnId: id(2) });
  });
});
