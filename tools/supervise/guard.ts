import { spawn } from 'node:child_process';
import { Socket } from 'node:net';
import path from 'node:path';
import type { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';

let input: Writable | undefined;

/**
 * The guard's one instance is started with the first thing to guard; it ends by itself after this
 * process.
 */
function guard(): Writable {
  if (input !== undefined) return input;
  const here = fileURLToPath(import.meta.url);
  const script = path.join(path.dirname(here), `guard-process${path.extname(here)}`);
  const child = spawn(process.execPath, [script], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // The guard is a second line of defence: without it everything works, only a SIGKILL leaves more
  // behind.
  child.on('error', () => undefined);
  child.stdin.on('error', () => undefined);
  child.unref();
  if (child.stdin instanceof Socket) child.stdin.unref();
  input = child.stdin;
  return input;
}

/** From now on the process gets `signal` when this process is gone. */
export function guardProcess(pid: number, signal: NodeJS.Signals): void {
  guard().write(`+${pid} ${signal}\n`);
}

export function forgetProcess(pid: number): void {
  guard().write(`-${pid}\n`);
}

/** The folder is deleted when this process is gone, after all guarded processes have ended. */
export function guardFolder(folder: string): void {
  guard().write(`dir ${folder}\n`);
}
