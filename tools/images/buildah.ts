import { execFile } from 'node:child_process';
import { constants } from 'node:buffer';
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Characters of what a command said that are told when it fails. */
const SAID_LENGTH = 4_000;

/** What an image says of its program. */
export interface ImageProgram {
  readonly user: string;
  readonly environment: readonly string[];
  readonly command: readonly [string, ...string[]];
}

/**
 * Builds and runs images without a daemon: steps and programs run in a chroot, on this machine's
 * network. Everything is kept in one folder, and goes with it.
 */
export class Buildah {
  private readonly closing = new AbortController();

  private constructor(
    private readonly folder: string,
    private readonly driver: 'overlay' | 'vfs',
  ) {}

  /** On a folder that need not be there. Layers are copied whole where overlays do not work. */
  static async open(folder: string): Promise<Buildah> {
    await mkdir(folder, { recursive: true });
    const overlay = new Buildah(folder, 'overlay');
    const works = await overlay.ask('from', 'scratch').then(
      async (probe) => overlay.ask('rm', probe),
      () => null,
    );
    if (works !== null) return overlay;
    await rm(path.join(folder, 'store'), { recursive: true, force: true });
    return new Buildah(folder, 'vfs');
  }

  /** Standard output of one command; rejects with what it said when it fails. */
  async ask(...args: readonly string[]): Promise<string> {
    return this.run(args, this.closing.signal);
  }

  private async run(args: readonly string[], signal?: AbortSignal): Promise<string> {
    const { stdout } = await run('buildah', this.arguments(args), {
      maxBuffer: constants.MAX_STRING_LENGTH,
      ...(signal === undefined ? {} : { signal }),
    }).catch((error: unknown) => {
      // A step of a build says on its standard output what is wrong.
      const { message, stdout: said = '' } = error as Error & { readonly stdout?: string };
      throw new Error(`${message}\n${said.slice(-SAID_LENGTH)}`, { cause: error });
    });
    return stdout.trim();
  }

  /** The arguments of `buildah` for a command, which the caller starts itself. */
  arguments(args: readonly string[]): string[] {
    const { folder, driver } = this;
    const storage = ['--root', path.join(folder, 'store'), '--runroot', path.join(folder, 'run')];
    return [...storage, '--storage-driver', driver, ...args];
  }

  /** Makes an image of what `fill` puts into an empty folder. */
  async make(image: string, fill: (root: string) => Promise<void>): Promise<void> {
    const container = await this.ask('from', 'scratch');
    await fill(await this.ask('mount', container));
    const search = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
    await this.ask('config', '--env', `PATH=${search}`, container);
    await this.ask('commit', '--quiet', '--rm', container, image);
  }

  /** Builds a target of the Dockerfile of `context`. */
  async build(context: string, target: string, bases: Readonly<Record<string, string>>) {
    const given = Object.entries(bases).flatMap(([name, image]) => [
      '--build-arg',
      `${name}=${image}`,
    ]);
    const layers = ['--layers', '--format', 'docker', '--isolation', 'chroot', ...given];
    const what = ['--target', target, '-t', target, context];
    await this.ask('bud', ...layers, ...npmOfThisMachine(), ...what);
  }

  async programOf(image: string): Promise<ImageProgram> {
    const told = JSON.parse(await this.ask('inspect', '--type', 'image', image)) as Inspected;
    const { User = '', Env = [], Entrypoint = [], Cmd = [] } = told.OCIv1.config;
    const [program = '', ...args] = [...Entrypoint, ...(Cmd ?? [])];
    return { user: User, environment: Env, command: [program, ...args] };
  }

  /** Ends what runs, and removes everything. */
  async close(): Promise<void> {
    this.closing.abort();
    for (const all of [
      ['umount', '--all'],
      ['rm', '--all'],
      ['rmi', '--all', '--force'],
    ])
      await this.run(all).catch(() => undefined);
    await rm(this.folder, { recursive: true, force: true });
  }
}

interface Inspected {
  readonly OCIv1: {
    readonly config: {
      readonly User?: string;
      readonly Env?: readonly string[];
      readonly Entrypoint?: readonly string[];
      readonly Cmd?: readonly string[] | null;
    };
  };
}

/** npm in a build finds what this machine's npm has: its cache, its settings, its certificates. */
function npmOfThisMachine(): readonly string[] {
  const mounts: string[] = [];
  const mount = (from: string, to: string, how: string): void => {
    if (existsSync(from)) mounts.push('--volume', `${from}:${to}:${how}`);
  };
  mount(path.join(homedir(), '.npm'), '/root/.npm', 'rw');
  mount(path.join(homedir(), '.npmrc'), '/root/.npmrc', 'ro');
  const certificates = process.env['NODE_EXTRA_CA_CERTS'];
  if (certificates === undefined) return mounts;
  mount(certificates, '/etc/extra-certificates.pem', 'ro');
  return [...mounts, '--env', 'NODE_EXTRA_CA_CERTS=/etc/extra-certificates.pem'];
}
