import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

const PROGRAM = path.resolve(import.meta.dirname, '../../../dist/apps/sbp-server/src/main.js');

/** Runs `sbp-server rebuild`; throws with what it said if it fails. */
export async function runRebuild(args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const program = spawn(process.execPath, [PROGRAM, 'rebuild', ...args], {
    env: { ...process.env, ...env },
  });
  let said = '';
  for (const output of [program.stdout, program.stderr])
    output.on('data', (data: Buffer) => (said += data.toString()));
  const [code] = (await once(program, 'close')) as [number | null];
  if (code !== 0) throw new Error(`rebuild ended with ${String(code)}: ${said}`);
}
