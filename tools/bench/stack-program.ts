import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { StackEntry } from '../stack/index.js';
import type { StartedProcess, SupervisedProcess } from '../supervise/index.js';
import { startProgram } from './program.js';

/**
 * `npm run stack` as a process of its own: its front must not share an event loop with what
 * measures it.
 */
export interface StackProgram {
  /** The address in front. */
  readonly url: string;
  readonly kafkaBrokers: string;
  /**
   * A process of it as it is now; `front`, `kafka-1`, `postgres` or a service such as
   * `completions-1`. Throws if it is down.
   */
  process(name: string): StackEntry;
  /** All of it as it is now. */
  list(): readonly StackEntry[];
  stop(): Promise<void>;
}

export async function startStackProgram(
  dir: string,
  env: Readonly<Record<string, string>>,
): Promise<StackProgram> {
  const dataDir = path.join(dir, 'stack');
  const args = ['--port', '0', '--data-dir', dataDir, '--replicas', 'completions=2'];
  const program: SupervisedProcess = await startProgram({
    name: 'stack',
    entry: 'tools/stack/main.js',
    args,
    env,
    dir,
    ready: readyLine,
  });
  const list = (): readonly StackEntry[] =>
    (
      JSON.parse(readFileSync(path.join(dataDir, 'stack.json'), 'utf8')) as {
        processes: StackEntry[];
      }
    ).processes;
  const named = (name: string): StackEntry => {
    const found = list().find((entry) => entry.name === name);
    if (found === undefined) throw new Error(`The stack has no process ${name} now.`);
    return found;
  };
  return {
    url: program.url,
    kafkaBrokers: named('kafka-1').url.replace('kafka://', ''),
    process: named,
    list,
    stop: () => program.stop(),
  };
}

function readyLine({ lines }: StartedProcess): Promise<string> {
  return new Promise((resolve) => {
    lines.on('line', (line) => {
      const [, port] = /^The stack is ready: http:\/\/localhost:(\d+)/.exec(line) ?? [];
      if (port !== undefined) resolve(`http://127.0.0.1:${port}`);
    });
  });
}
