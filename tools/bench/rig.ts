import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { guardFolder } from '../supervise/index.js';
import type { SupervisedProcess } from '../supervise/index.js';
import { BARE_PASS_THROUGH, ECHO_MODEL, startProgram } from './program.js';
import { startStackProgram } from './stack-program.js';
import type { StackProgram } from './stack-program.js';
import { StampingModel } from './stamping-model.js';

const ROOT = '.data/bench';
/** Words of the demo model's answers in the benches: a short paragraph. */
export const DEMO_TOKENS = 40;

/**
 * What the benches measure, started when it is first asked for; all on 127.0.0.1, all in one folder
 * that is deleted at the end.
 */
export class Rig {
  private readonly programs: SupervisedProcess[] = [];
  private runningStack: { readonly upstream: string; readonly program: StackProgram } | null = null;
  private demo: Promise<SupervisedProcess> | null = null;
  private echo: Promise<SupervisedProcess> | null = null;
  private stamping: Promise<StampingModel> | null = null;

  private constructor(
    readonly dir: string,
    readonly say: (message: string) => void,
  ) {}

  /** Below the working directory: where it lies decides what a write to the disk costs. */
  static async open(say: (message: string) => void): Promise<Rig> {
    await mkdir(ROOT, { recursive: true });
    const dir = path.resolve(await mkdtemp(path.join(ROOT, 'run-')));
    guardFolder(dir);
    return new Rig(dir, say);
  }

  /** The demo model without any pause, as a process of its own. */
  demoModel(): Promise<SupervisedProcess> {
    this.demo ??= this.program('demo-model', 'apps/sbp-server/src/main.js', [
      ...['demo-model', '--port', '0', '--ttft', '0'],
      ...['--tokens', String(DEMO_TOKENS), '--interval', '0'],
    ]);
    return this.demo;
  }

  /** A model that answers at once and does nothing else, as a process of its own. */
  echoModel(): Promise<SupervisedProcess> {
    this.echo ??= this.program('echo-model', ECHO_MODEL, []);
    return this.echo;
  }

  /** The model of this process, whose deltas are the times at which it said them. */
  stampingModel(): Promise<StampingModel> {
    this.stamping ??= StampingModel.start();
    return this.stamping;
  }

  bareProxy(upstream: string): Promise<SupervisedProcess> {
    return this.program('bare', BARE_PASS_THROUGH, [upstream]);
  }

  /** `settings`: more variables of its environment. */
  embedded(
    name: string,
    upstream: string,
    settings: Readonly<Record<string, string>> = {},
  ): Promise<SupervisedProcess> {
    const env = { SBP_LLM_BASE_URL: `${upstream}/v1`, ...settings };
    const args = ['start', '--port', '0', '--data-dir', path.join(this.dir, name)];
    return this.program(name, 'apps/sbp-server/src/main.js', args, env);
  }

  /** The services with that model behind them; one stack runs at a time. */
  async stack(upstream: string): Promise<StackProgram> {
    if (this.runningStack?.upstream === upstream) return this.runningStack.program;
    await this.runningStack?.program.stop();
    this.say('Starting Kafka, Postgres and the services …');
    const dir = path.join(this.dir, `stack-${new URL(upstream).port}`);
    const program = await startStackProgram(dir, {
      SBP_LLM_BASE_URL: `${upstream}/v1`,
      SBP_LOG_LEVEL: 'warn',
    });
    this.runningStack = { upstream, program };
    return program;
  }

  /** The stack that runs, else a new one. */
  async anyStack(): Promise<StackProgram> {
    return this.runningStack?.program ?? this.stack((await this.stampingModel()).url);
  }

  /** Of any stack. */
  async kafkaBrokers(): Promise<readonly string[]> {
    return (await this.anyStack()).kafkaBrokers.split(',');
  }

  async close(): Promise<void> {
    await this.runningStack?.program.stop();
    await Promise.all(this.programs.map((program) => program.stop()));
    await (await this.stamping)?.close();
    await rm(this.dir, { recursive: true, force: true });
  }

  private async program(
    name: string,
    entry: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<SupervisedProcess> {
    const program = await startProgram({
      name,
      entry,
      args,
      env,
      dir: path.join(this.dir, 'programs'),
    });
    this.programs.push(program);
    return program;
  }
}
