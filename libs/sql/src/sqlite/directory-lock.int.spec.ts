import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DirectoryInUse, lockDirectory } from './directory-lock.js';

describe('lockDirectory', () => {
  let directory: string;

  beforeEach(async () => {
    directory = join(await mkdtemp(join(tmpdir(), 'directory-lock-')), 'data');
  });
  afterEach(() => rm(join(directory, '..'), { recursive: true, force: true }));

  it('refuses a directory that is held, and names it', async () => {
    const lock = await lockDirectory(directory);
    await expect(lockDirectory(directory)).rejects.toThrow(DirectoryInUse);
    await expect(lockDirectory(directory)).rejects.toThrow(directory);
    lock.release();
    (await lockDirectory(directory)).release();
  });

  it('refuses a directory that another process holds, until that process is killed', async () => {
    const script = `
      const { lockDirectory } = await import(${JSON.stringify(fileURLToPath(new URL('directory-lock.ts', import.meta.url)))});
      await lockDirectory(${JSON.stringify(directory)});
      console.log('held');
      setInterval(() => undefined, 1000);`;
    const holder = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await once(holder.stdout, 'data');
      await expect(lockDirectory(directory)).rejects.toThrow(DirectoryInUse);
    } finally {
      holder.kill('SIGKILL');
      await once(holder, 'exit');
    }
    (await lockDirectory(directory)).release();
  });
});
