import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  SupervisedProcess,
  endLeftover,
  listeningLine,
  readPidFile,
  writePidFile,
} from './index.js';
import type { ProcessExit, ProcessSpec } from './index.js';

const loop = fileURLToPath(new URL('./stubs/loop.ts', import.meta.url));
const guard = fileURLToPath(new URL('./guard-process.ts', import.meta.url));

let dataDir: string;
const started: SupervisedProcess[] = [];

beforeEach(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'statebridge-supervise-'));
});

afterEach(async () => {
  await Promise.all(started.splice(0).map((each) => each.stop({ discard: true })));
  await rm(dataDir, { recursive: true, force: true });
});

function supervised(overrides: Partial<ProcessSpec> = {}): SupervisedProcess {
  const made = new SupervisedProcess({
    name: 'loop',
    launch: () => ({ command: process.execPath, args: [loop], ipc: true }),
    ready: listeningLine,
    logFile: path.join(dataDir, 'loop.log'),
    pidFile: path.join(dataDir, 'loop.json'),
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 5000,
    readyTimeoutMs: 30_000,
    restart: true,
    ...overrides,
  });
  started.push(made);
  return made;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe('a supervised process', () => {
  it('is started when it says where it listens, and writes its log', async () => {
    const child = supervised();
    await child.start();
    expect([child.url, child.isReady]).toEqual(['http://127.0.0.1:1', true]);
    expect(await readFile(path.join(dataDir, 'loop.log'), 'utf8')).toContain('listening');
  });

  it('takes and sends messages on its channel', async () => {
    const child = supervised();
    await child.start();
    const answer = new Promise((resolve) => child.events.once('message', resolve));
    child.child?.send('ping');
    expect(await answer).toEqual({ echo: 'ping' });
  });

  it('comes back after it was killed, each time', async () => {
    const child = supervised();
    const exits: ProcessExit[] = [];
    child.events.on('exit', (exit) => exits.push(exit));
    await child.start();
    for (let kills = 1; kills <= 2; kills++) {
      const back = new Promise<void>((resolve) => child.events.once('ready', resolve));
      child.kill('SIGKILL');
      await back;
      expect(exits).toHaveLength(kills);
      expect(exits.at(-1)).toMatchObject({ signal: 'SIGKILL', expected: false });
      expect(child.pid).not.toBe(exits.at(-1)?.pid);
    }
  });

  it('stays down after it was stopped, and leaves no pid file', async () => {
    const child = supervised();
    await child.start();
    const exit = new Promise<ProcessExit>((resolve) => child.events.once('exit', resolve));
    await child.stop();
    expect(await exit).toMatchObject({ expected: true });
    expect([child.isReady, child.child, existsSync(path.join(dataDir, 'loop.json'))]).toEqual([
      false,
      undefined,
      false,
    ]);
  });

  it('is killed when it does not end by itself', async () => {
    const child = supervised({ stopSignal: 'SIGCONT', stopTimeoutMs: 50 });
    await child.start();
    await child.stop();
    expect(isAlive(child.pid)).toBe(false);
  });

  it('that ends before it is ready fails the start, with its last words', async () => {
    const child = supervised({
      launch: () => ({
        command: process.execPath,
        args: ['-e', 'console.error("no such setting"); process.exit(3)'],
      }),
    });
    await expect(child.start()).rejects.toThrow(/ended before it was ready[^]*no such setting/);
  });
});

describe('what an earlier start left behind', () => {
  it('is ended by its pid file', async () => {
    const left = supervised({ restart: false });
    await left.start();
    const file = path.join(dataDir, 'left.json');
    writePidFile(file, left.pid);
    await endLeftover(file, 'SIGTERM');
    expect([isAlive(left.pid), existsSync(file)]).toEqual([false, false]);
  });

  it('is not taken for another process that was given the same id', async () => {
    const file = path.join(dataDir, 'stranger.json');
    await writeFile(file, JSON.stringify({ pid: process.pid, startTime: '1' }));
    expect(readPidFile(file)).toBeUndefined();
    await endLeftover(file, 'SIGTERM');
    expect(existsSync(file)).toBe(false);
  });
});

describe('the guard', () => {
  it('ends what is registered, and deletes the folder, when its parent is gone', async () => {
    const [kept, forgotten] = [
      supervised({ pidFile: path.join(dataDir, 'a') }),
      supervised({ restart: false }),
    ];
    await Promise.all([kept.start(), forgotten.start()]);
    const folder = await mkdtemp(path.join(dataDir, 'folder-'));
    const process_ = spawn(process.execPath, [guard], { stdio: ['pipe', 'ignore', 'inherit'] });
    process_.stdin.write(
      `+${kept.pid} SIGTERM\n+${forgotten.pid} SIGTERM\n-${kept.pid}\ndir ${folder}\n`,
    );
    const ended = once(forgotten.events, 'exit');
    // As the system does when the parent ends, however it ends.
    process_.stdin.end();
    expect((await ended)[0]).toMatchObject({ pid: forgotten.pid, signal: 'SIGTERM' });
    await vi.waitFor(() => expect(existsSync(folder)).toBe(false), 10_000);
    expect(isAlive(kept.pid)).toBe(true);
  });
});
