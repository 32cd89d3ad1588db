import { execFile, spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { Arrivals } from './waiting.js';

const BIN = path.resolve(import.meta.dirname, '../../../node_modules/.bin');

/**
 * The terminal of somebody who follows the getting-started text, with the variables that they have
 * set.
 */
export class Terminal {
  constructor(private readonly variables: Readonly<Record<string, string>> = {}) {}

  with(variables: Readonly<Record<string, string>>): Terminal {
    return new Terminal({ ...this.variables, ...variables });
  }

  /** Pastes a command, and waits for what it prints. */
  async run(command: string): Promise<string> {
    const { stdout } = await promisify(execFile)('bash', ['-c', command], { env: this.env });
    return stdout;
  }

  /**
   * Pastes a `wscat` command, on a real terminal: without one wscat does not say when it is
   * connected.
   */
  async wscat(command: string): Promise<Wscat> {
    const wscat = new Wscat(
      spawn('script', ['--quiet', '--flush', '--command', command, '/dev/null'], { env: this.env }),
    );
    await wscat.shows(/Connected \(press CTRL\+C to quit\)/);
    return wscat;
  }

  private get env(): NodeJS.ProcessEnv {
    return { ...process.env, PATH: `${BIN}:${process.env['PATH'] ?? ''}`, ...this.variables };
  }
}

const ENTER = '\r';
const CONTROL_C = '\x03';
// eslint-disable-next-line no-control-regex -- terminals are told of colours and cursors by control characters
const CONTROL_SEQUENCES = /\x1b\[[0-9;]*[A-Za-z]/g;

/** A `wscat` that is typed to. */
export class Wscat {
  private readonly arrivals = new Arrivals();
  private readonly ended: Promise<void>;
  private screen = '';
  private isOver = false;

  constructor(private readonly child: ChildProcessWithoutNullStreams) {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.screen += text;
      this.arrivals.wake();
    });
    this.ended = new Promise((resolve) => {
      child.on('close', () => {
        this.isOver = true;
        this.arrivals.wake();
        resolve();
      });
    });
  }

  /** The frames that it printed so far, whole lines only. */
  get printed(): readonly Readonly<Record<string, unknown>>[] {
    const lines = this.screen.split('\n').slice(0, -1);
    return lines
      .flatMap(
        (line) =>
          /< (?<frame>\{.*\})\s*$/.exec(line.replace(CONTROL_SEQUENCES, ''))?.groups?.['frame'] ??
          [],
      )
      .map((frame) => JSON.parse(frame) as Readonly<Record<string, unknown>>);
  }

  type(line: string): void {
    this.child.stdin.write(line + ENTER);
  }

  /** Waits for this on the screen. */
  async shows(text: RegExp): Promise<void> {
    await this.wait(() => (text.test(this.screen) ? true : undefined));
  }

  /** The first frame of this type, as soon as it is printed. */
  async prints(type: string): Promise<Readonly<Record<string, unknown>>> {
    return this.wait(() => this.printed.find((frame) => frame['type'] === type));
  }

  async pressControlC(): Promise<void> {
    this.child.stdin.write(CONTROL_C);
    await this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  private async wait<T>(look: () => T | undefined): Promise<T> {
    return this.arrivals.until(() => {
      const found = look();
      if (found === undefined && this.isOver) throw new Error(`wscat ended: ${this.screen}`);
      return found;
    });
  }
}
