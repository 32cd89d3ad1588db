import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { identityOf, isRunning } from './process-identity.js';
import type { ProcessIdentity } from './process-identity.js';

export function writePidFile(file: string, pid: number): void {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, JSON.stringify(identityOf(pid)));
}

export function removePidFile(file: string): void {
  rmSync(file, { force: true });
}

/** The process that the file names, if exactly that one still runs. */
export function readPidFile(file: string): ProcessIdentity | undefined {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
  const { pid, startTime } = content as Partial<ProcessIdentity>;
  if (typeof pid !== 'number' || typeof startTime !== 'string') return undefined;
  const identity = { pid, startTime };
  return isRunning(identity) ? identity : undefined;
}

/** Ends what an earlier start left behind, and waits for its end, so that its files and ports are free again. */
export async function endLeftover(file: string): Promise<void> {
  const leftover = readPidFile(file);
  if (leftover !== undefined) {
    process.kill(leftover.pid, 'SIGKILL');
    while (isRunning(leftover)) await delay(20);
  }
  removePidFile(file);
}
