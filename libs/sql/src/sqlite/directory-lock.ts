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

/** Takes a directory (made if missing) for this process, or throws `DirectoryInUse` at once. */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  await mkdir(directory, { recursive: true });
  const release = lockFile(join(directory, 'lock.sqlite'), 0);
  if (release === null) throw new DirectoryInUse(directory);
  return { release };
}

/**
 * Holds a small SQLite file (made if missing) for this process alone, until the returned function
 * is called, or the process ends, also by SIGKILL: it is a transaction held open on the file, which
 * the operating system ends with the process. Null where another one, or another part of this one,
 * still holds it after `waitMs`.
 */
export function lockFile(path: string, waitMs: number): (() => void) | null {
  const file = new SqliteFile(path, { timeout: waitMs });
  try {
    file.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    file.close();
    if (error instanceof SqliteFile.SqliteError && error.code.startsWith('SQLITE_BUSY'))
      return null;
    throw error;
  }
  return () => void file.close();
}
