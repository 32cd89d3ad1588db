import { execFile } from 'node:child_process';
import { cp, mkdir, realpath, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { cached } from '../infrastructure/cache.js';
import { MissingProgramError } from '../infrastructure/index.js';

const run = promisify(execFile);

const SUITE = 'bookworm';
/** nginx and curl as in nginx's image; libatomic1 is what Node needs beside a minimal Debian. */
const PACKAGES = ['ca-certificates', 'curl', 'libatomic1', 'nginx-light'];

/** Throws `MissingProgramError` where images cannot be built. */
export async function requirePrograms(): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new MissingProgramError('Building images without a daemon needs root: use sudo.');
  for (const program of ['buildah', 'debootstrap']) {
    await run(program, ['--version']).catch(() => {
      throw new MissingProgramError(
        `Building images needs ${program}: on Debian or Ubuntu \`apt-get install ${program}\`.`,
      );
    });
  }
}

/**
 * Fills a folder with what stands in for the base images, which cannot be had without a registry: a
 * minimal Debian with this project's own Node, npm, nginx and curl.
 */
export async function fillBase(root: string, say: (message: string) => void): Promise<void> {
  const debian = await cached(`rootfs-${SUITE}-${PACKAGES.join('-')}`, async (work) => {
    say('Making a minimal Debian by debootstrap, once …');
    const include = `--include=${PACKAGES.join(',')}`;
    await run('debootstrap', ['--variant=minbase', include, SUITE, work]);
    await rm(path.join(work, 'var/cache/apt'), { recursive: true, force: true });
    await rm(path.join(work, 'var/lib/apt/lists'), { recursive: true, force: true });
    return work;
  });
  await run('cp', ['-a', `${debian}/.`, root]);
  await cp(await realpath(process.execPath), path.join(root, 'usr/local/bin/node'));
  const modules = path.join(root, 'usr/local/lib/node_modules');
  await mkdir(modules, { recursive: true });
  await run('cp', ['-a', await npmFolder(), `${modules}/npm`]);
  await symlink('../lib/node_modules/npm/bin/npm-cli.js', path.join(root, 'usr/local/bin/npm'));
}

/** The npm that runs this, or the first one of PATH. */
async function npmFolder(): Promise<string> {
  const running = process.env['npm_execpath'];
  const named = (process.env['PATH'] ?? '').split(path.delimiter).map((at) => path.join(at, 'npm'));
  for (const candidate of [...(running === undefined ? [] : [running]), ...named]) {
    const program = await realpath(candidate).catch(() => null);
    if (program?.endsWith('/bin/npm-cli.js') === true) return path.resolve(program, '../..');
  }
  throw new MissingProgramError('Building images needs npm: run it by `npm run images`.');
}
