import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { identityOf, isRunning } from './process-identity.js';
import type { ProcessIdentity } from './process-identity.js';

const POLL_MS = 20;
const GRACE_MS = 5000;

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

/**
 * Ends what an earlier start left behind, and waits for its end, so that its files and ports are
 * free again. It gets `signal`, and is killed if that does not end it.
 */
export async function endLeftover(file: string, signal: NodeJS.Signals): Promise<void> {
  const leftover = readPidFile(file);
  if (leftover !== undefined) {
    process.kill(leftover.pid, signal);
    await waitWhile(() => isRunning(leftover), GRACE_MS);
    if (isRunning(leftover)) process.kill(leftover.pid, 'SIGKILL');
    while (isRunning(leftover)) await delay(POLL_MS);
    // Its parent is gone: until the system has collected it, programs that look for its id
    // (Postgres) still find it.
    await waitWhile(() => isKnown(leftover.pid), GRACE_MS);
  }
  removePidFile(file);
}

async function waitWhile(condition: () => boolean, limitMs: number): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (condition() && Date.now() < deadline) await delay(POLL_MS);
}

function isKnown(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
