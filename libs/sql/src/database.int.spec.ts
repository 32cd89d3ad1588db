import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Database } from './database.js';
import { openPostgres } from './postgres/postgres.js';
import { raw, sql, tuples } from './statement.js';
import type { Place, PostgresPlace, SqlitePlace } from './testing/places.js';
import {
  NoteRow,
  filesAsNow,
  insert,
  noteIds,
  postgresPlace,
  schema,
  sqlitePlace,
} from './testing/places.js';

const BIG = 2 ** 52 + 1;

describe.each([
  ['sqlite', sqlitePlace],
  ['postgres', postgresPlace],
] as const)('database on %s', (dialect, makePlace) => {
  let place: Place;
  let database: Database;

  beforeAll(async () => {
    place = await makePlace();
    database = await place.open();
    await database.migrate();
  });
  beforeEach(async () => {
    await database.write((transaction) => sql(transaction)`DELETE FROM notes`);
  });
  afterAll(async () => {
    await database.close();
    await place.remove();
  });

  it('says its dialect', () => {
    expect(database.dialect).toBe(dialect);
  });

  it('shows a write to every read that begins after it', async () => {
    await database.write(insert('a'));
    expect(await noteIds(database)).toEqual(['a']);
  });

  it('keeps nothing of a write that rejects, and all of those beside it', async () => {
    const outcomes = await Promise.allSettled(
      ['a', 'b', 'c', 'd'].map((id) =>
        database.write(async (transaction) => {
          await insert(id)(transaction);
          if (id === 'b') throw new Error('changed my mind');
          // Breaks the key: the database refuses it.
          if (id === 'c') await insert(id)(transaction);
          return id;
        }),
      ),
    );
    expect(outcomes.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'rejected',
      'fulfilled',
    ]);
    expect(outcomes[0]).toMatchObject({ value: 'a' });
    expect(await noteIds(database)).toEqual(['a', 'd']);
  });

  it('has written a lone statement when it resolves, and nothing when the database refuses it', async () => {
    await database.writeOne(insert('a'));
    await expect(database.writeOne(insert('a'))).rejects.toThrow();
    await database.writeOne(insert('b'));
    expect(await noteIds(database)).toEqual(['a', 'b']);
  });

  it('reads what is committed while a write is under way, without waiting for it', async () => {
    const gate = Promise.withResolvers<undefined>();
    const written = Promise.withResolvers<undefined>();
    const writing = database.write(async (transaction) => {
      await insert('a')(transaction);
      written.resolve(undefined);
      await gate.promise;
    });
    await written.promise;
    expect(await noteIds(database)).toEqual([]);
    gate.resolve(undefined);
    await writing;
    expect(await noteIds(database)).toEqual(['a']);
  });

  it('runs repositories and inner transactions in the write that they are part of', async () => {
    await database.write(async (transaction) => {
      await transaction.getRepository(NoteRow).save({ id: 'a', size: BIG, body: 'text' });
      await expect(
        transaction.transaction(async (inner) => {
          await insert('b')(inner);
          throw new Error('only the inner one');
        }),
      ).rejects.toThrow('only the inner one');
    });
    const rows = await database.read((reader) => reader.find(NoteRow));
    expect(rows).toEqual([{ id: 'a', size: BIG, body: 'text' }]);
  });

  it('gives the same answer to a statement on both dialects', async () => {
    await database.write(async (transaction) => {
      const upsert = (size: number) =>
        sql(transaction)<{ size: number }>`
          INSERT INTO notes (id, size, body) VALUES (${'a'}, ${size}, ${null})
          ON CONFLICT (id) DO UPDATE SET size = excluded.size WHERE notes.size < excluded.size RETURNING size`;
      expect(await upsert(BIG)).toEqual({ rows: [{ size: BIG }], affected: 1 });
      expect(await upsert(1)).toEqual({ rows: [], affected: 0 });
      await insert('b', 7)(transaction);

      const all = ['a', 'b', 'c'];
      expect(
        await sql(transaction)`UPDATE notes SET body = ${"it's"} WHERE id IN (${all})`,
      ).toEqual({
        rows: [],
        affected: 2,
      });
      expect(
        await sql(
          transaction,
        )`UPDATE notes SET size = size - ${1} WHERE id = ${'b'} RETURNING id, size`,
      ).toEqual({
        rows: [{ id: 'b', size: 6 }],
        affected: 1,
      });
      expect(await sql(transaction)`SELECT COUNT(*) AS n FROM notes WHERE id IN (${[]})`).toEqual({
        rows: [{ n: 0 }],
        affected: 1,
      });
      expect(
        await sql(transaction)`SELECT id, body FROM ${raw('notes')} WHERE size = ${BIG}`,
      ).toEqual({
        rows: [{ id: 'a', body: "it's" }],
        affected: 1,
      });
      expect(await sql(transaction)`DELETE FROM notes WHERE id = ${'b'} RETURNING id`).toEqual({
        rows: [{ id: 'b' }],
        affected: 1,
      });
      expect(await sql(transaction)`DELETE FROM notes`).toEqual({ rows: [], affected: 1 });
    });
  });

  it('counts what it sends and commits; a lone statement has nothing around it', async () => {
    const ofSqlite = dialect === 'sqlite';
    const cost = async (work: () => Promise<unknown>): Promise<number[]> => {
      const before = database.counts();
      await work();
      const after = database.counts();
      expect(after.roundTrips - before.roundTrips).toBe(
        ofSqlite ? 0 : after.statements - before.statements,
      );
      return [
        after.statements - before.statements,
        after.durableCommits - before.durableCommits,
        after.relaxedCommits - before.relaxedCommits,
      ];
    };
    const durable = { durable: true };
    expect(await cost(() => noteIds(database))).toEqual([1, 0, 0]);
    expect(await cost(() => database.writeOne(insert('a'), durable))).toEqual([1, 1, 0]);
    expect(await cost(() => database.writeOne(insert('b')))).toEqual(
      ofSqlite ? [1, 0, 1] : [1, 1, 0],
    );
    expect(await cost(() => database.write(insert('c')))).toEqual(ofSqlite ? [3, 0, 1] : [3, 1, 0]);
    const refused = () => database.writeOne(insert('a')).catch(() => undefined);
    expect(await cost(refused)).toEqual([1, 0, 0]);
  });

  it('inserts several rows by one statement, whatever is null in them', async () => {
    const notes = [
      ['a', 1, null],
      ['b', 2, 'text'],
    ];
    await database.writeOne(
      (writer) => sql(writer)`INSERT INTO notes (id, size, body) VALUES ${tuples(notes)}`,
    );
    const { rows } = await database.read(
      (reader) => sql(reader)`SELECT id, size, body FROM notes ORDER BY id`,
    );
    expect(rows.map(({ id, size, body }) => [id, size, body])).toEqual(notes);
  });

  it('has a clock in whole milliseconds that moves within a transaction', async () => {
    await database.write(async (transaction) => {
      const now = async (): Promise<number> => {
        const { rows } = await sql(transaction)<{
          now: number;
        }>`SELECT ${raw(database.nowMs)} AS now`;
        return rows[0]?.now ?? Number.NaN;
      };
      const first = await now();
      expect(Number.isSafeInteger(first)).toBe(true);
      expect(Math.abs(first - Date.now())).toBeLessThan(60_000);
      await vi.waitFor(async () => expect(await now()).toBeGreaterThan(first));
    });
  });

  it('keeps what was written when it is closed and opened again', async () => {
    await database.write(insert('a'));
    await database.close();
    database = await place.open();
    expect(await noteIds(database)).toEqual(['a']);
  });

  it('migrates once, though several ask at the same time', async () => {
    await database.dropAll([]);
    const second = dialect === 'postgres' ? await place.open() : database;
    await Promise.all([database.migrate(), second.migrate(), database.migrate()]);
    if (second !== database) await second.close();
    await database.write(insert('a'));
    expect(await noteIds(database)).toEqual(['a']);
  });

  it.each([
    ['as it is', []],
    ['with its tables emptied by hand', ['notes', 'migrations']],
  ])('drops the schema %s but for the tables to be kept, and makes it anew', async (_, emptied) => {
    await database.write(async (transaction) => {
      await insert('a')(transaction);
      await sql(transaction)`INSERT INTO kept (id) VALUES (${'k'}) ON CONFLICT DO NOTHING`;
      for (const table of emptied) await sql(transaction)`DELETE FROM ${raw(table)}`;
    });
    await database.dropAll(['kept']);
    await expect(noteIds(database)).rejects.toThrow(/notes/);
    await database.migrate();
    expect(await noteIds(database)).toEqual([]);
    await database.write(insert('a'));
    const { rows } = await database.read((reader) => sql(reader)`SELECT id FROM kept`);
    expect(rows).toEqual([{ id: 'k' }]);
  });
});

describe('database on sqlite', () => {
  let place: SqlitePlace;
  let database: Database;

  beforeEach(async () => {
    place = await sqlitePlace();
    database = await place.open();
  });
  afterEach(async () => {
    await database.close();
    await place.remove();
  });

  it('has all of a relaxed write in its files when it resolves, so that a kill loses none', async () => {
    await database.write(insert('a'));
    await database.writeOne(insert('b'));
    const found = await filesAsNow(place, noteIds);
    expect(found).toEqual(['a', 'b']);
  });

  it('runs writes one after another in the order in which they came', async () => {
    const seen: string[] = [];
    await Promise.all(
      ['a', 'b', 'c'].map((id) =>
        database.write(async (transaction) => {
          seen.push(`${id} begins`);
          await insert(id)(transaction);
          await new Promise((resolve) => setImmediate(resolve));
          seen.push(`${id} ends`);
        }),
      ),
    );
    expect(seen).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
  });

  it('commits together those that wait, with savepoints only where needed', async () => {
    await database.write((transaction) => sql(transaction)`DELETE FROM notes`);
    const before = database.counts();
    const durable = { durable: true };
    const outcomes = await Promise.allSettled([
      database.write(insert('a'), durable),
      // A single statement needs no savepoint …
      database.writeOne(insert('b')),
      database.writeOne(insert('a')),
      // … and every other job but the first has one.
      database.write(insert('c')),
      database.write(insert('a')),
      database.writeOne(insert('d'), durable),
    ]);
    expect(outcomes.map(({ status }) => status === 'fulfilled')).toEqual([
      true,
      true,
      false,
      true,
      false,
      true,
    ]);
    expect(await noteIds(database)).toEqual(['a', 'b', 'c', 'd']);
    const { statements, durableCommits, relaxedCommits } = database.counts();
    expect(durableCommits - before.durableCommits).toBe(1);
    expect(relaxedCommits - before.relaxedCommits).toBe(0);
    const read = 1;
    expect(statements - before.statements).toBe(2 + (1 + 1 + 1 + 3 + 3 + 1) + read);
  });

  it('undoes the first of a group alone, and writes the others', async () => {
    await database.write(insert('a'));
    const outcomes = await Promise.allSettled([
      database.write(async (transaction) => {
        await insert('b')(transaction);
        await insert('a')(transaction);
      }),
      database.write(insert('c')),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
    expect(await noteIds(database)).toEqual(['a', 'c']);
  });

  it('rejects every write of a group whose transaction was lost, keeps none, and goes on with the next', async () => {
    const group = ['a', 'b', 'c'].map((id) =>
      database.write(async (transaction) => {
        await insert(id)(transaction);
        // What SQLite does by itself when the disk is full or broken.
        if (id === 'b') await sql(transaction)`ROLLBACK`;
      }),
    );
    const outcomes = await Promise.allSettled(group);
    expect(outcomes.slice(0, 2).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await database.write(insert('d'));
    const third = outcomes[2]?.status === 'fulfilled' ? ['c'] : [];
    expect(await noteIds(database)).toEqual([...third, 'd']);
  });

  it('finishes the writes that wait when it is closed, and takes no more', async () => {
    const writing = ['a', 'b'].map((id) => database.write(insert(id)));
    await database.close();
    await Promise.all(writing);
    await expect(database.write(insert('c'))).rejects.toThrow('closed');
    database = await place.open();
    expect(await noteIds(database)).toEqual(['a', 'b']);
  });

  it('cannot be written through a reader', async () => {
    await expect(database.read(insert('a'))).rejects.toThrow(/readonly/);
  });
});

describe('database on postgres', () => {
  let place: PostgresPlace;
  let database: Database;

  beforeEach(async () => {
    place = await postgresPlace();
    database = await place.open();
    await database.migrate();
  });
  afterEach(async () => {
    await database.close();
    await place.remove();
  });

  it('rejects what a lost connection cut off, and works on new ones', async () => {
    const gate = Promise.withResolvers<undefined>();
    const written = Promise.withResolvers<undefined>();
    const writing = database.write(async (transaction) => {
      await insert('a')(transaction);
      written.resolve(undefined);
      await gate.promise;
      await insert('b')(transaction);
    });
    await written.promise;
    await Promise.all([noteIds(database), noteIds(database)]);
    await place.endConnections();
    gate.resolve(undefined);
    await expect(writing).rejects.toThrow();
    await vi.waitFor(async () => expect(await noteIds(database)).toEqual([]));
    await database.write(insert('c'));
    expect(await noteIds(database)).toEqual(['c']);
  });

  it('rejects where no server is', async () => {
    await expect(openPostgres({ ...schema, url: 'postgres://127.0.0.1:1/none' })).rejects.toThrow(
      'ECONNREFUSED',
    );
  });
});
