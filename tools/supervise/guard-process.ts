/**
 * Ends what its parent started when the parent is gone, also by SIGKILL. It reads lines from its
 * standard input, which only the parent holds open: `+<pid> <signal>` registers a process, `-<pid>`
 * forgets it, `dir <path>` names a folder to delete in the end. At the end of input everything
 * still registered gets its signal, and SIGKILL when it has not ended after a while.
 *
 * It is started from the source as well as from the build, so it imports nothing of ours.
 */
import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';

const GRACE_MS = 3000;
const registered = new Map<number, NodeJS.Signals>();
const folders: string[] = [];

// A terminal's Ctrl-C and a closing session are the parent's business.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

for await (const line of createInterface({ input: process.stdin })) {
  if (line.startsWith('dir ')) folders.push(line.slice(4));
  else if (line.startsWith('-')) registered.delete(Number(line.slice(1)));
  else {
    const [pid, signal] = line.slice(1).split(' ');
    registered.set(Number(pid), signal as NodeJS.Signals);
  }
}

for (const [pid, signal] of registered) send(pid, signal);
const deadline = Date.now() + GRACE_MS;
while ([...registered.keys()].some((pid) => send(pid, 0)) && Date.now() < deadline) await delay(50);
for (const pid of registered.keys()) send(pid, 'SIGKILL');
for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 10 });

function send(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
