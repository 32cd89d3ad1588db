import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { createWriteStream, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { forgetProcess, guardProcess } from './guard.js';
import { endLeftover, removePidFile, writePidFile } from './pid-file.js';

const FIRST_BACKOFF_MS = 100;
const LONGEST_BACKOFF_MS = 5000;
/** One that lived this long was not dying in a loop: the next back-off is the first again. */
const SETTLED_MS = 10_000;

/** What a process is told to run. */
export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Both for a process that must not run as root. */
  readonly uid?: number;
  readonly gid?: number;
  /** Opens a channel for `process.send` and `process.on('message')`. */
  readonly ipc?: boolean;
}

export interface ProcessSpec {
  readonly name: string;
  /** Asked before each start, so that a restart may differ from the first start. */
  readonly launch: () => Launch;
  /**
   * Resolves with the process's address once it serves; called for each start. Lines are what the
   * process writes to its standard output. It may poll until `signal` is aborted, which happens
   * when the process ends before it is ready.
   */
  readonly ready: (started: StartedProcess) => Promise<string>;
  readonly logFile: string;
  readonly pidFile: string;
  /** How it is asked to end. */
  readonly stopSignal: NodeJS.Signals;
  /** After this it is killed. */
  readonly stopTimeoutMs: number;
  readonly readyTimeoutMs: number;
  /** Start again after an end that nobody asked for. */
  readonly restart: boolean;
}

export interface StartedProcess {
  readonly child: ChildProcess;
  readonly lines: EventEmitter<{ line: [string] }>;
  readonly signal: AbortSignal;
}

export interface ProcessExit {
  readonly name: string;
  readonly pid: number;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Whether `stop`, or a `restart` of this class, ended it. */
  readonly expected: boolean;
}

interface Events {
  /** It serves, for the first time or again. */
  ready: [];
  exit: [ProcessExit];
  message: [unknown];
}

type Phase =
  | { readonly type: 'idle' }
  | {
      readonly type: 'running';
      readonly child: ChildProcess;
      readonly since: number;
      readonly abort: AbortController;
    }
  | { readonly type: 'waiting'; readonly abort: AbortController };

/**
 * One process that is kept running. It lives in its own process group, so that a terminal's Ctrl-C
 * reaches only us, who then end everything in order; the guard ends it if we cannot.
 */
export class SupervisedProcess {
  readonly events = new EventEmitter<Events>();
  readonly name: string;
  private phase: Phase = { type: 'idle' };
  private stopping = false;
  private ready = false;
  private lastUrl = '';
  private lastPid = 0;
  private backoffMs = FIRST_BACKOFF_MS;

  constructor(readonly spec: ProcessSpec) {
    this.name = spec.name;
    this.events.setMaxListeners(0);
  }

  /** The pid of the running process, else of the last one; 0 before the first start. */
  get pid(): number {
    return this.lastPid;
  }

  /** The address that the last start reported; it stays while the process is down. */
  get url(): string {
    return this.lastUrl;
  }

  get isReady(): boolean {
    return this.ready;
  }

  /** The running child, for its channel; undefined while it is down. */
  get child(): ChildProcess | undefined {
    return this.phase.type === 'running' ? this.phase.child : undefined;
  }

  /**
   * Starts it and waits until it serves. Throws, with the end of its log, if it ends or stays
   * silent before that.
   */
  async start(): Promise<void> {
    this.stopping = false;
    await endLeftover(this.spec.pidFile, this.spec.stopSignal);
    await this.begin();
  }

  /** Resolves when the process serves, also after restarts; at once if it does. */
  async whenReady(): Promise<void> {
    if (!this.ready) await once(this.events, 'ready');
  }

  /**
   * Sends a signal and nothing else: with a restart policy it comes back. False if it does not run.
   */
  kill(signal: NodeJS.Signals): boolean {
    return this.phase.type === 'running' && this.phase.child.kill(signal);
  }

  /**
   * Asks it to end, waits for the end, and keeps it down. `discard` kills it at once: its data is
   * not needed again.
   */
  async stop(options: { readonly discard?: boolean } = {}): Promise<void> {
    this.stopping = true;
    this.ready = false;
    const phase = this.phase;
    if (phase.type === 'idle') return;
    if (phase.type === 'waiting') {
      phase.abort.abort();
      this.phase = { type: 'idle' };
      return;
    }
    const { child } = phase;
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill(options.discard === true ? 'SIGKILL' : this.spec.stopSignal);
    // A stopped process (SIGSTOP) takes no signal but SIGKILL.
    const forced = setTimeout(() => child.kill('SIGKILL'), this.spec.stopTimeoutMs);
    await ended;
    clearTimeout(forced);
  }

  /** Ends it as `stop` does and starts it again. */
  async restart(options: { readonly discard?: boolean } = {}): Promise<void> {
    await this.stop(options);
    await this.start();
  }

  private async begin(): Promise<void> {
    const { spec } = this;
    const launch = spec.launch();
    mkdirSync(path.dirname(spec.logFile), { recursive: true });
    const log = createWriteStream(spec.logFile, { flags: 'a' });
    const child = spawn(launch.command, launch.args, {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', ...(launch.ipc === true ? (['ipc'] as const) : [])],
      ...(launch.env === undefined ? {} : { env: launch.env }),
      ...(launch.cwd === undefined ? {} : { cwd: launch.cwd }),
      ...(launch.uid === undefined ? {} : { uid: launch.uid }),
      ...(launch.gid === undefined ? {} : { gid: launch.gid }),
    });
    child.stdout?.pipe(log, { end: false });
    child.stderr?.pipe(log, { end: false });
    const lines = linesOf(child);
    const spawned = await Promise.race([
      once(child, 'spawn').then(() => undefined),
      once(child, 'error').then(([error]) => error as Error),
    ]).catch((error: unknown) => error as Error);
    if (spawned !== undefined || child.pid === undefined) {
      log.end();
      throw new Error(`${spec.name} could not be started: ${spawned?.message ?? 'no process id'}`);
    }
    const { pid } = child;
    const abort = new AbortController();
    this.phase = { type: 'running', child, since: Date.now(), abort };
    this.lastPid = pid;
    guardProcess(pid, spec.stopSignal);
    writePidFile(spec.pidFile, pid);
    child.on('error', () => undefined);
    child.on('message', (message) => this.events.emit('message', message));
    child.once('exit', (code, signal) => this.ended(pid, code, signal, abort));
    child.once('close', () => log.end());
    await this.awaitReady({ child, lines, signal: abort.signal }, abort);
  }

  private async awaitReady(started: StartedProcess, abort: AbortController): Promise<void> {
    const { spec } = this;
    const timeout = new AbortController();
    const failed = Promise.race([
      once(abort.signal, 'abort').then(() => `ended before it was ready`),
      delay(spec.readyTimeoutMs, `was not ready after ${spec.readyTimeoutMs / 1000} s`, {
        signal: timeout.signal,
      }),
    ]);
    const ready = spec.ready(started);
    try {
      const outcome = await Promise.race([
        ready.then((url) => ({ url })),
        failed.then((reason) => ({ reason })),
      ]);
      if ('reason' in outcome)
        throw new Error(`${spec.name} ${outcome.reason}.\n${lastLines(spec.logFile)}`);
      this.lastUrl = outcome.url;
      this.ready = true;
      this.events.emit('ready');
    } catch (error) {
      ready.catch(() => undefined);
      if (!abort.signal.aborted) started.child.kill('SIGKILL');
      throw error;
    } finally {
      timeout.abort();
      failed.catch(() => undefined);
    }
  }

  private ended(
    pid: number,
    code: number | null,
    signal: NodeJS.Signals | null,
    abort: AbortController,
  ): void {
    const { spec } = this;
    const wasReady = this.ready;
    const since = this.phase.type === 'running' ? this.phase.since : Date.now();
    this.phase = { type: 'idle' };
    this.ready = false;
    abort.abort();
    forgetProcess(pid);
    removePidFile(spec.pidFile);
    const expected = this.stopping;
    this.events.emit('exit', { name: spec.name, pid, code, signal, expected });
    // Before it was first ready, the caller of `start` gets the error and decides.
    if (expected || !spec.restart || (!wasReady && this.lastUrl === '')) return;
    if (Date.now() - since > SETTLED_MS) this.backoffMs = FIRST_BACKOFF_MS;
    void this.startAgain(this.backoffMs);
    this.backoffMs = Math.min(this.backoffMs * 2, LONGEST_BACKOFF_MS);
  }

  private async startAgain(afterMs: number): Promise<void> {
    const abort = new AbortController();
    this.phase = { type: 'waiting', abort };
    try {
      await delay(afterMs, undefined, { signal: abort.signal });
      await this.begin();
    } catch {
      // Stopped while waiting; or ended or killed before it was ready, and then its own end starts
      // it again.
    }
  }
}

function linesOf(child: ChildProcess): EventEmitter<{ line: [string] }> {
  const lines = new EventEmitter<{ line: [string] }>();
  let rest = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    if (lines.listenerCount('line') === 0) return;
    const parts = (rest + chunk).split('\n');
    rest = parts.pop() ?? '';
    for (const line of parts) lines.emit('line', line);
  });
  return lines;
}

function lastLines(file: string): string {
  try {
    return readFileSync(file, 'utf8').split('\n').slice(-30).join('\n');
  } catch {
    return '';
  }
}
