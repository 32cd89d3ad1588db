import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import path from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { Arrivals } from './waiting.js';

const ROOT = path.resolve(import.meta.dirname, '../../..');

/** A program that somebody started by a line in a terminal, in the project's folder. */
export class RunningProgram {
  private readonly arrivals = new Arrivals();
  private readonly ended: Promise<void>;
  private readonly child: ChildProcessByStdio<Writable, Readable, Readable>;
  private said = '';
  private isOver = false;

  constructor(line: string, env: Readonly<Record<string, string>> = {}) {
    // In a process group of its own, so that a signal reaches all of it, as a terminal's Ctrl-C.
    this.child = spawn('bash', ['-c', line], {
      cwd: ROOT,
      env: { ...process.env, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    });
    for (const output of [this.child.stdout, this.child.stderr]) {
      output.setEncoding('utf8').on('data', (text: string) => {
        this.said += text;
        this.arrivals.wake();
      });
    }
    this.ended = new Promise((resolve) => {
      this.child.on('close', () => {
        this.isOver = true;
        this.arrivals.wake();
        resolve();
      });
    });
  }

  /** All that it printed so far. */
  get output(): string {
    return this.said;
  }

  /** Types into it. */
  type(text: string): void {
    this.child.stdin.write(text);
  }

  /** Waits until it has printed this. */
  async prints(text: RegExp): Promise<RegExpExecArray> {
    return this.arrivals.until(() => {
      const found = text.exec(this.said);
      if (found === null && this.isOver) throw new Error(`it ended without ${text}: ${this.said}`);
      return found ?? undefined;
    });
  }

  /** Waits for its end; what it printed. */
  async end(): Promise<string> {
    await this.ended;
    return this.said;
  }

  async pressControlC(): Promise<string> {
    this.signal('SIGINT');
    return this.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.signal('SIGKILL');
    await this.ended;
  }

  private signal(signal: NodeJS.Signals): void {
    if (!this.isOver && this.child.pid !== undefined) process.kill(-this.child.pid, signal);
  }
}
