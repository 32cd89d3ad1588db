import { inspect } from 'node:util';
import type { EntityManager } from 'typeorm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Database } from '../database.js';
import { raw, sql } from '../statement.js';
import { StorageFault } from './storage-fault.js';
import type { Place } from '../testing/places.js';
import { NoteRow, insert, noteIds, postgresPlace, sqlitePlace } from '../testing/places.js';

const MARKER = 'what-a-person-wrote';

/** Statements that fail with the marker among their values, or in their text. */
const FAILING: Readonly<Record<string, (writer: EntityManager) => Promise<unknown>>> = {
  'breaks a key': (writer) =>
    sql(writer)`INSERT INTO notes (id, size, body) VALUES (${MARKER}, ${2}, ${MARKER})`,
  'breaks a key, by a repository': (writer) =>
    writer.getRepository(NoteRow).insert({ id: MARKER, size: 1, body: MARKER }),
  'lacks a value': (writer) =>
    sql(writer)`INSERT INTO notes (id, size, body) VALUES (${'x'}, ${null}, ${MARKER})`,
  'has a value that does not fit': (writer) =>
    writer.dataSource.driver.options.type === 'postgres'
      ? sql(writer)`SELECT CAST(${MARKER} AS integer)`
      : sql(writer)`SELECT json_extract('{}', ${MARKER})`,
  'is no statement': (writer) => sql(writer)`SELECT ${raw(`'${MARKER}`)}`,
  'has a table that is not there': (writer) => sql(writer)`SELECT ${MARKER} FROM nowhere`,
};

describe.each([
  ['sqlite', sqlitePlace],
  ['postgres', postgresPlace],
] as const)('a failure of the storage on %s', (dialect, makePlace) => {
  let place: Place;
  let database: Database;

  beforeAll(async () => {
    place = await makePlace();
    database = await place.open();
    await database.migrate();
  });
  beforeEach(async () => {
    await database.write((transaction) => sql(transaction)`DELETE FROM notes`);
    await database.write(insert(MARKER));
  });
  afterAll(async () => {
    await database.close();
    await place.remove();
  });

  async function faultOf(work: () => Promise<unknown>): Promise<StorageFault> {
    const error: unknown = await work().then(
      () => null,
      (thrown: unknown) => thrown,
    );
    if (!(error instanceof StorageFault)) throw new Error('no fault', { cause: error });
    return error;
  }

  function expectNothingOf(text: string, fault: StorageFault): void {
    const shown = [
      inspect(fault, { depth: 10, showHidden: true }),
      JSON.stringify(fault),
      JSON.stringify(fault.cause),
      fault.message,
      fault.stack,
    ];
    expect(shown.join('\n')).not.toContain(text);
  }

  it.each(Object.keys(FAILING))('holds nothing that a person wrote: one that %s', async (name) => {
    const failing = FAILING[name];
    if (failing === undefined) throw new Error(name);
    for (const work of [
      () => database.write(failing),
      () => database.writeOne(failing),
      () => database.read(failing),
    ]) {
      const fault = await faultOf(work);
      expectNothingOf(MARKER, fault);
      expectNothingOf('INSERT INTO', fault);
      expect(fault.code).toBeDefined();
    }
    expect(await noteIds(database)).toEqual([MARKER]);
  });

  it('says of a broken key which one it is', async () => {
    const fault = await faultOf(() => database.writeOne(insert(MARKER)));
    expect(fault.kind).toBe('conflict');
    if (dialect === 'postgres') {
      expect(fault).toMatchObject({ code: '23505', cause: { table: 'notes', severity: 'ERROR' } });
      expect(fault.message).toMatch(/23505.*constraint "\w+"/);
    } else {
      expect(fault).toMatchObject({ code: 'SQLITE_CONSTRAINT_PRIMARYKEY' });
      expect(fault.message).toContain('notes.id');
    }
  });

  it('is one inside the work as well, which may go on after it', async () => {
    await database.write(async (transaction) => {
      const inner = transaction.transaction((writer) => insert(MARKER)(writer));
      await expect(inner).rejects.toBeInstanceOf(StorageFault);
      await insert('z')(transaction);
    });
    expect(await noteIds(database)).toEqual([MARKER, 'z']);
  });

  it('is not what the work itself throws: that passes unchanged', async () => {
    const mine = new TypeError('changed my mind');
    const throwing = () => Promise.reject(mine);
    await expect(database.write(throwing)).rejects.toBe(mine);
    await expect(database.writeOne(throwing)).rejects.toBe(mine);
    await expect(database.read(throwing)).rejects.toBe(mine);
  });

  it('says that the disk is full', async () => {
    const fault = await faultOf(() =>
      database.write(async (transaction) => {
        if (dialect === 'postgres') {
          // What the server says then; no disk of the tests can be filled.
          await sql(transaction)`DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '53100'; END $$`;
          return;
        }
        const { rows } = await sql(transaction)<{ n: number }>`SELECT page_count AS n
          FROM pragma_page_count()`;
        await sql(transaction)`PRAGMA max_page_count = ${raw(String(rows[0]?.n))}`;
        const body = MARKER.repeat(1_000);
        await sql(transaction)`INSERT INTO notes (id, size, body) VALUES (${'y'}, ${1}, ${body})`;
      }),
    );
    expect(fault).toMatchObject({ kind: 'full' });
    expectNothingOf(MARKER, fault);
    if (dialect === 'sqlite') {
      await database.write((transaction) => sql(transaction)`PRAGMA max_page_count = 1000000`);
    }
    await database.write(insert('z'));
    expect(await noteIds(database)).toEqual([MARKER, 'z']);
  });

  if (dialect === 'postgres') {
    it('holds nothing of the statement that lost its connection', async () => {
      const fault = await faultOf(() =>
        database.writeOne(
          (writer) => sql(writer)`
            SELECT pg_terminate_backend(pg_backend_pid()), CAST(${MARKER} AS text)`,
        ),
      );
      expect(fault).toMatchObject({ kind: 'unavailable' });
      expectNothingOf(MARKER, fault);
      expect(await noteIds(database)).toEqual([MARKER]);
    });
  }
});
