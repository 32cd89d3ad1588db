import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** The file of the embedded store, inside the data directory. */
export const STORE_FILE = 'statebridge.sqlite';

/** The data directory cannot be used; the message names it, says why and what to do. */
export class UnusableDataDirectory extends Error {
  override readonly name = 'UnusableDataDirectory';

  constructor(directory: string, problem: string, cause?: unknown) {
    super(
      `The data directory ${directory} cannot be used: ${problem}. ` +
        'Choose another with --data-dir or SBP_DATA_DIR.',
      { cause },
    );
  }
}

/**
 * Makes the data directory if it is missing, and makes sure that this process can write there, so
 * that nothing else has to fail on it later. Throws `UnusableDataDirectory`.
 */
export function prepareDataDirectory(dataDir: string): void {
  const directory = path.resolve(dataDir);
  try {
    makeFolder(directory);
    const probe = path.join(directory, `.probe-${randomBytes(6).toString('hex')}`);
    writeFileSync(probe, '', { flag: 'wx' });
    rmSync(probe, { force: true });
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    throw new UnusableDataDirectory(directory, PROBLEMS[code] ?? (error as Error).message, error);
  }
}

/** Throws `UnusableDataDirectory` where there is no embedded store; makes nothing. */
export function requireStore(dataDir: string): void {
  const directory = path.resolve(dataDir);
  if (existsSync(path.join(directory, STORE_FILE))) return;
  throw new UnusableDataDirectory(directory, `there is no store (${STORE_FILE}) in it`);
}

const PROBLEMS: Readonly<Record<string, string>> = {
  EACCES: 'this user may not write there (EACCES)',
  EPERM: 'this user may not write there (EPERM)',
  EROFS: 'it is on a read-only file system (EROFS)',
  ENOSPC: 'the disk is full (ENOSPC)',
  ENOENT: 'it cannot be made in its parent directory (ENOENT)',
  ENOTDIR: 'it, or a part of its path, is a file and not a directory (ENOTDIR)',
};

/** Not `mkdir` with `recursive`: where a file system takes no folders (/proc), Node never ends. */
function makeFolder(directory: string): void {
  const stats = statSync(directory, { throwIfNoEntry: false });
  if (stats?.isDirectory() === true) return;
  if (stats !== undefined) throw Object.assign(new Error('a file'), { code: 'ENOTDIR' });
  makeFolder(path.dirname(directory));
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    // Another process was faster.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}
