import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import SqliteFile from 'better-sqlite3';

/** A directory that this process alone may use, until `release` or its end, also by SIGKILL. */
export interface DirectoryLock {
  release(): void;
}

/** Another process, or another part of this one, holds the directory. */
export class DirectoryInUse extends Error {
  override readonly name = 'DirectoryInUse';
  constructor(directory: string) {
    super(`The data directory ${directory} is in use by another process.`);
  }
}

/**
 * Takes a directory (made if missing) for this process, or throws `DirectoryInUse` at once. The
 * lock is a transaction held open on a small SQLite file: the operating system ends it with the
 * process.
 */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  await mkdir(directory, { recursive: true });
  const file = new SqliteFile(join(directory, 'lock.sqlite'), { timeout: 0 });
  try {
    file.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    file.close();
    if (error instanceof SqliteFile.SqliteError && error.code.startsWith('SQLITE_BUSY')) {
      throw new DirectoryInUse(directory);
    }
    throw error;
  }
  return { release: () => void file.close() };
}
