import type { FileHandle } from 'node:fs/promises';
import { copyFile, mkdtemp, open, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import SqliteFile from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Database } from '../database.js';
import type { SqlitePlace } from '../testing/places.js';
import { insert, noteIds, sqlitePlace } from '../testing/places.js';

/** Syncs of this process go through this method of Node's. */
async function fileHandles(): Promise<FileHandle> {
  const handle = await open('/dev/null');
  await handle.close();
  return Object.getPrototypeOf(handle) as FileHandle;
}

describe('a write to sqlite', () => {
  const durable = { durable: true };
  let place: SqlitePlace;
  let database: Database;
  let file: string;

  beforeEach(async () => {
    place = await sqlitePlace();
    database = await place.open();
    file = path.join(place.directory, 'data', 'test.sqlite');
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await database.close();
    await place.remove();
  });

  /** Syncs that wait until they are let go, or broken. */
  async function heldSyncs() {
    const held: PromiseWithResolvers<undefined>[] = [];
    vi.spyOn(await fileHandles(), 'datasync').mockImplementation(async () => {
      const sync = Promise.withResolvers<undefined>();
      held.push(sync);
      await sync.promise;
    });
    return held;
  }

  it('that is durable is settled after a sync that began behind its commit', async () => {
    const syncs = await heldSyncs();
    let isSettled = false;
    const written = database.write(insert('a'), durable).then(() => (isSettled = true));
    await vi.waitFor(() => expect(syncs).toHaveLength(1));
    expect(await noteIds(database)).toEqual(['a']);
    expect(isSettled).toBe(false);
    syncs[0]?.resolve(undefined);
    await written;
  });

  it('that is relaxed does not wait for the sync of one before it, nor makes one', async () => {
    const syncs = await heldSyncs();
    const before = database.write(insert('a'), durable);
    await database.write(insert('b'));
    await vi.waitFor(() => expect(syncs).toHaveLength(1));
    await Promise.all([database.write(insert('c')), database.writeOne(insert('d'))]);
    expect(syncs).toHaveLength(1);
    syncs[0]?.resolve(undefined);
    await before;
  });

  it('that is durable syncs the write-ahead log that holds it', async () => {
    const synced: number[] = [];
    vi.spyOn(await fileHandles(), 'datasync').mockImplementation(async function (this: FileHandle) {
      synced.push((await this.stat()).ino);
    });
    await database.write(insert('a'), durable);
    await database.writeOne(insert('b'), durable);
    const { ino } = await stat(`${file}-wal`);
    expect(synced).toEqual([ino, ino]);
  });

  it('is failed when the disk refuses the sync, and is on the disk before the next is made', async () => {
    const syncs = await heldSyncs();
    const failing = database.write(insert('a'), durable);
    await vi.waitFor(() => expect(syncs).toHaveLength(1));
    syncs[0]?.reject(Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' }));
    await expect(failing).rejects.toMatchObject({ kind: 'unavailable', code: 'EIO' });
    const next = database.write(insert('b'), durable);
    await vi.waitFor(() => expect(syncs).toHaveLength(2));
    expect(await idsWithoutLog(file)).toEqual(['a']);
    syncs[1]?.resolve(undefined);
    await next;
    expect(await noteIds(database)).toEqual(['a', 'b']);
  });

  it('is waited for by close, until it is on the disk', async () => {
    const syncs = await heldSyncs();
    const seen: string[] = [];
    const writing = database.write(insert('a'), durable).then(() => seen.push('written'));
    const closing = database.close().then(() => seen.push('closed'));
    await vi.waitFor(() => expect(syncs).toHaveLength(1));
    syncs[0]?.resolve(undefined);
    await Promise.all([writing, closing]);
    expect(seen).toEqual(['written', 'closed']);
    vi.restoreAllMocks();
    database = await place.open();
  });
});

/** What the database file itself has, as if its write-ahead log had been lost. */
async function idsWithoutLog(file: string): Promise<unknown[]> {
  const folder = await mkdtemp(path.join(tmpdir(), 'sql-file-'));
  try {
    const copy = path.join(folder, 'copy.sqlite');
    await copyFile(file, copy);
    const found = new SqliteFile(copy);
    const ids = found.prepare('SELECT id FROM notes ORDER BY id').pluck().all();
    found.close();
    return ids;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
