import type { MigrationInterface, QueryRunner } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Database } from '../database.js';
import { openPostgres } from './postgres.js';
import { sql } from '../statement.js';
import { StorageFault } from '../faults/storage-fault.js';
import { FaultyNetwork } from '../testing/faulty-network.js';
import type { PostgresPlace } from '../testing/places.js';
import { insert, noteIds, postgresPlace, schema } from '../testing/places.js';

const POOL = 4;
/** Nothing takes longer, whatever the network does; in ms. */
const LONGEST = 15_000;
/** Far less than any limit: what is done within it has waited for none. In ms. */
const AT_ONCE = 2_000;

class SlowMigration1780000000009 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`CREATE TABLE limits AS SELECT name, setting FROM pg_settings
      WHERE name IN ('statement_timeout', 'lock_timeout')`);
  }

  async down(): Promise<void> {
    await Promise.resolve();
  }
}

describe('postgres that does not answer', () => {
  let place: PostgresPlace;
  let network: FaultyNetwork;
  let throughNetwork: string;
  let database: Database;

  beforeEach(async () => {
    place = await postgresPlace();
    ({ network, url: throughNetwork } = await FaultyNetwork.before(place.url));
    database = await openPostgres({ ...schema, url: throughNetwork, poolSize: POOL });
    await database.migrate();
    // All connections of the pool are open.
    await Promise.all(Array.from({ length: POOL }, () => noteIds(database)));
    await database.write(insert('a'));
  });
  afterEach(async () => {
    await database.close();
    await network.close();
    await place.remove();
  });

  async function timed<T>(work: Promise<T>): Promise<{ outcome: T | StorageFault; ms: number }> {
    const begun = performance.now();
    const outcome = await work.catch((error: unknown) => {
      if (error instanceof StorageFault) return error;
      throw error;
    });
    return { outcome, ms: performance.now() - begun };
  }

  async function holdRow(until: Promise<unknown>): Promise<{ pid: number; done: Promise<void> }> {
    const locked = Promise.withResolvers<number>();
    const done = database.write(async (transaction) => {
      const { rows } = await sql(transaction)<{ pid: number }>`
        UPDATE notes SET size = 2 WHERE id = ${'a'} RETURNING pg_backend_pid() AS pid`;
      locked.resolve(rows[0]?.pid ?? 0);
      await until;
      await insert('late')(transaction);
    });
    done.catch(() => undefined);
    return { pid: await locked.promise, done };
  }

  const touchRow = () =>
    database.writeOne((writer) => sql(writer)`UPDATE notes SET size = 3 WHERE id = ${'a'}`);

  async function expectWorksAtOnce(): Promise<void> {
    const results = await Promise.all([
      timed(noteIds(database)),
      timed(database.write(insert('b'))),
      timed(database.writeOne(insert('c'))),
      ...Array.from({ length: 2 * POOL }, () => timed(noteIds(database))),
    ]);
    for (const { outcome, ms } of results) {
      expect(outcome).not.toBeInstanceOf(StorageFault);
      expect(ms).toBeLessThan(AT_ONCE);
    }
  }

  it('ends all that a network swallows, however much of it, and works at once after it', async () => {
    const gate = Promise.withResolvers<undefined>();
    const { done } = await holdRow(gate.promise);
    network.swallow();
    gate.resolve(undefined);
    const stuck = [
      done,
      ...Array.from({ length: 5 * POOL }, () => noteIds(database)),
      ...Array.from({ length: POOL }, () => database.write(insert('x'))),
    ];
    const results = await Promise.all(stuck.map((work) => timed<unknown>(work)));
    for (const { outcome, ms } of results) {
      expect(outcome).toBeInstanceOf(StorageFault);
      expect(outcome).toMatchObject({
        kind: expect.stringMatching(/^(timeout|unavailable)$/) as unknown,
      });
      expect(ms).toBeLessThan(LONGEST);
    }
    network.heal();
    await expectWorksAtOnce();
    // The server has ended the transaction that held the row.
    expect((await timed(touchRow())).ms).toBeLessThan(AT_ONCE);
    expect(await noteIds(database)).toEqual(['a', 'b', 'c']);
  });

  it('rejects what a network cuts off, at once, and works at once after it', async () => {
    const gate = Promise.withResolvers<undefined>();
    const { done } = await holdRow(gate.promise);
    network.cut();
    gate.resolve(undefined);
    const { outcome, ms } = await timed(done);
    expect(outcome).toMatchObject({ kind: 'unavailable' });
    expect(ms).toBeLessThan(AT_ONCE);
    await expectWorksAtOnce();
    expect(await noteIds(database)).toEqual(['a', 'b', 'c']);
  });

  it('ends a write whose server process is stopped, and one that waits for its row', async () => {
    const gate = Promise.withResolvers<undefined>();
    const { pid, done } = await holdRow(gate.promise);
    process.kill(pid, 'SIGSTOP');
    try {
      gate.resolve(undefined);
      const [stopped, waiting] = await Promise.all([timed(done), timed(touchRow())]);
      expect(stopped.outcome).toMatchObject({ kind: 'timeout' });
      expect(stopped.ms).toBeLessThan(LONGEST);
      expect(waiting.outcome).toMatchObject({ kind: 'timeout', code: '55P03' });
      expect(waiting.ms).toBeLessThan(LONGEST);
      await expectWorksAtOnce();
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });

  it('cannot be opened through a network that swallows', async () => {
    network.swallow();
    const { outcome, ms } = await timed(openPostgres({ ...schema, url: throughNetwork }));
    expect(outcome).toMatchObject({ kind: 'unavailable' });
    expect(ms).toBeLessThan(LONGEST);
  });

  it('gives changes of the schema more time', async () => {
    const migrations = [...schema.migrations, SlowMigration1780000000009];
    const second = await openPostgres({ entities: [], migrations, url: place.url });
    await second.migrate();
    const { rows } = await second.read(
      (reader) => sql(reader)`SELECT name, setting FROM limits ORDER BY name`,
    );
    expect(rows).toEqual([
      { name: 'lock_timeout', setting: '600000' },
      { name: 'statement_timeout', setting: '600000' },
    ]);
    const after = await second.read((reader) => sql(reader)`SHOW statement_timeout`);
    expect(after.rows).toEqual([{ statement_timeout: '10s' }]);
    await second.close();
  });
});
