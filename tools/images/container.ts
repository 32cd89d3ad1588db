import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { pause } from '#libs/timing';
import type { Buildah } from './buildah.js';

const READY_MS = 60_000;
const STOP_MS = 15_000;

/** The program of an image, in a container of its own. */
export class Container {
  private said = '';

  private constructor(
    readonly image: string,
    private readonly child: ChildProcess,
  ) {
    for (const stream of [child.stdout, child.stderr])
      stream?.on(
        'data',
        (bytes: Buffer) => (this.said = `${this.said}${String(bytes)}`.slice(-4000)),
      );
  }

  /** Starts it as its image says, with these settings over its own. */
  static async start(
    buildah: Buildah,
    image: string,
    settings: Readonly<Record<string, string>>,
    { args, volumes = [] }: { args?: readonly string[]; volumes?: readonly string[] } = {},
  ): Promise<Container> {
    const container = await buildah.ask('from', '--pull-never', image);
    const { command } = await buildah.programOf(image);
    const [entry, rest] = args === undefined ? [command, []] : [command.slice(0, -1), args];
    const env = Object.entries(settings).flatMap(([name, value]) => ['--env', `${name}=${value}`]);
    const mounts = volumes.flatMap((volume) => ['--volume', volume]);
    const how = ['run', '--isolation', 'chroot', ...env, ...mounts, container, '--'];
    return new Container(
      image,
      spawn('buildah', buildah.arguments([...how, ...entry, ...rest]), {
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    );
  }

  /** Waits until this address answers with success. */
  async ready(url: string): Promise<void> {
    const until = Date.now() + READY_MS;
    while (this.child.exitCode === null && Date.now() < until) {
      const isReady = await fetch(url).then(
        ({ ok }) => ok,
        () => false,
      );
      if (isReady) return;
      await pause(100);
    }
    throw new Error(`The image ${this.image} did not get ready:\n${this.said}`);
  }

  /** Waits until it ends by itself, and says how. */
  async ended(): Promise<string> {
    if (this.child.exitCode === null) await once(this.child, 'close');
    if (this.child.exitCode !== 0)
      throw new Error(
        `The image ${this.image} ended with ${String(this.child.exitCode)}:\n${this.said}`,
      );
    return this.said;
  }

  /** Asks the program itself to end, as an engine does; rejects where it does not end well. */
  async stop(signal: NodeJS.Signals): Promise<void> {
    const program = this.program();
    if (program !== null) process.kill(program, signal);
    const late = setTimeout(() => this.kill(), STOP_MS);
    await this.ended().finally(() => clearTimeout(late));
  }

  /** Whatever it is doing. */
  kill(): void {
    for (const pid of descendants(this.child.pid ?? 0).reverse()) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended meanwhile.
      }
    }
    this.child.kill('SIGKILL');
  }

  /** Buildah runs it through two processes of its own. */
  private program(): number | null {
    return descendants(this.child.pid ?? 0)[2] ?? null;
  }
}

/** A process's children, theirs, and so on. */
function descendants(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc').filter((each) => /^\d+$/.test(each))) {
    try {
      // Behind the name, which may hold anything: state, then parent.
      const parent = Number(
        readFileSync(`/proc/${name}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[1],
      );
      children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
    } catch {
      // It has ended meanwhile.
    }
  }
  const below = (of: number): number[] =>
    (children.get(of) ?? []).flatMap((child) => [child, ...below(child)]);
  return below(pid);
}
