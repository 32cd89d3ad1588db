import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { pythonWith } from '../../../tools/infrastructure/index.js';
import type { Agent } from './agent.js';

const FOLDER = path.resolve(import.meta.dirname, '../python');
/** How long the first installation may take, in ms: it downloads some megabytes. */
export const INSTALL_MS = 600_000;
/** Only stops what hangs. */
const DEADLINE_MS = 120_000;

/** Clients for Python, each a script beside the requirements that is told what to do as JSON. */
export class PythonClients {
  private constructor(private readonly interpreter: string) {}

  /** Installs what they need, where that is not done yet. */
  static async install(): Promise<PythonClients> {
    const requirements = path.join(FOLDER, 'requirements.txt');
    const say = (message: string): void => void process.stderr.write(`[setup] ${message}\n`);
    return new PythonClients(await pythonWith(requirements, say));
  }

  /** A line of a terminal in which the environment is active, wherever the system's Python is. */
  line(text: string): string {
    return text.replace(/^python3(?= )/, this.interpreter);
  }

  /** Runs one deed of a script for an agent; gives what it tells. */
  async run(script: string, agent: Agent, deed: string, more: object): Promise<unknown> {
    const running = promisify(execFile)(this.interpreter, [path.join(FOLDER, script)], {
      timeout: DEADLINE_MS,
    });
    const order = { url: agent.url, agent: agent.id, deed, with: more };
    running.child.stdin?.end(JSON.stringify(order));
    return JSON.parse((await running).stdout) as unknown;
  }
}
