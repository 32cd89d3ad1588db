import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { cached } from './cache.js';
import { MissingProgramError } from './missing-program.js';

const run = promisify(execFile);

const MINIMUM_MINOR = 11;
const NEEDED = `The Python clients of the tests need Python 3.${MINIMUM_MINOR} or newer with its module venv`;
const INSTALL =
  'on Debian or Ubuntu `apt-get install python3-venv`, on macOS `brew install python3`';

/**
 * A Python that has exactly the packages of a file of requirements, which names their hashes. They
 * are installed at the first call, into a virtual environment of the cache.
 *
 * @param say is told what takes long.
 * @returns the interpreter's path.
 */
export async function pythonWith(
  requirements: string,
  say: (message: string) => void,
): Promise<string> {
  const version = await findPython();
  const wanted = createHash('sha256')
    .update(version)
    .update(await readFile(requirements));
  const name = `python-${wanted.digest('hex').slice(0, 16)}`;
  const environment = await cached(name, async (work) => {
    say('Installing the Python clients that tests use, by pip, once …');
    await run('python3', ['-m', 'venv', work]);
    const pip = ['-m', 'pip', 'install', '--quiet', '--no-input', '--disable-pip-version-check'];
    const only = ['--require-hashes', '--only-binary', ':all:', '--requirement', requirements];
    await run(interpreterOf(work), [...pip, ...only]);
    return work;
  });
  return interpreterOf(environment);
}

/** An environment may be moved as long as its interpreter is started by its path. */
function interpreterOf(environment: string): string {
  return path.join(environment, 'bin', 'python');
}

/**
 * Version and place of the `python3` of PATH. Throws `MissingProgramError` if there is none that
 * can make virtual environments.
 */
async function findPython(): Promise<string> {
  const tell = 'import sys; print(sys.version_info.minor, sys.executable, sys.version)';
  const { stdout } = await run('python3', ['-c', tell]).catch(() => {
    throw new MissingProgramError(`${NEEDED}, and there is no python3: ${INSTALL}.`);
  });
  if (!(Number.parseInt(stdout) >= MINIMUM_MINOR)) {
    throw new MissingProgramError(`${NEEDED}; found ${stdout.trim()}: ${INSTALL}.`);
  }
  await run('python3', ['-c', 'import ensurepip, venv']).catch(() => {
    throw new MissingProgramError(`${NEEDED}, and its python3 has none: ${INSTALL}.`);
  });
  return stdout;
}
