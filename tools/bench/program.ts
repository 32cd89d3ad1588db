import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { SupervisedProcess, listeningLine } from '../supervise/index.js';
import type { StartedProcess } from '../supervise/index.js';

export interface ProgramOptions {
  readonly name: string;
  /** The built program: a path, or one from the root of the build. */
  readonly entry: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Where its log is kept. */
  readonly dir: string;
  /** Resolves with its address once it serves; by default the line that our servers write. */
  readonly ready?: (started: StartedProcess) => Promise<string>;
}

/**
 * Runs one of our built programs as a process of its own, without the settings of this one;
 * resolves when it serves.
 */
export async function startProgram(options: ProgramOptions): Promise<SupervisedProcess> {
  const { name, entry, args = [], env = {}, dir, ready = listeningLine } = options;
  const inherited = Object.entries(process.env).filter(
    ([variable]) => !variable.startsWith('SBP_'),
  );
  const program = new SupervisedProcess({
    name,
    launch: () => ({
      command: process.execPath,
      args: ['--enable-source-maps', path.resolve(BUILD, entry), ...args],
      env: { ...Object.fromEntries(inherited), ...env },
    }),
    ready,
    logFile: path.join(dir, `${name}.log`),
    pidFile: path.join(dir, `${name}.json`),
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 30_000,
    readyTimeoutMs: 120_000,
    restart: false,
  });
  await program.start();
  return program;
}

export const BARE_PASS_THROUGH = fileURLToPath(import.meta.resolve('./bare-pass-through.js'));
export const ECHO_MODEL = fileURLToPath(import.meta.resolve('./echo-model.js'));

/** This module lies in `dist/tools/bench`. */
const BUILD = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
