import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { MissingProgramError } from './missing-program.js';

/** The second is where Debian has it, which is not in the PATH of an ordinary user. */
const CANDIDATES = ['nginx', '/usr/sbin/nginx'];

/** The nginx of PATH, or of /usr/sbin. Throws `MissingProgramError` if there is none. */
export async function findNginx(): Promise<string> {
  for (const candidate of CANDIDATES) {
    const runs = await promisify(execFile)(candidate, ['-v']).then(
      () => true,
      () => false,
    );
    if (runs) return candidate;
  }
  throw new MissingProgramError(
    `The tests of the front need nginx, and none was found (${CANDIDATES.join(', ')}): on Debian or ` +
      'Ubuntu `apt-get install nginx-light`, elsewhere put nginx into PATH.',
  );
}
