import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { text } from 'node:stream/consumers';

const PROGRAM = path.resolve(import.meta.dirname, '../../../dist/apps/sbp-server/src/main.js');

/** How a command ended, and what it said. */
export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly problem: string;
}

/** Runs a command of `sbp-server` to its end. */
export async function runCommand(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Ended> {
  const program = spawn(process.execPath, [PROGRAM, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [out, problem] = await Promise.all([
    text(program.stdout),
    text(program.stderr),
    once(program, 'close'),
  ]);
  return { code: program.exitCode, out, problem };
}

/** Runs `sbp-server rebuild`; throws with what it said if it fails. */
export async function runRebuild(args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const { code, out, problem } = await runCommand(['rebuild', ...args], env);
  if (code !== 0) throw new Error(`rebuild ended with ${String(code)}: ${out}${problem}`);
}
