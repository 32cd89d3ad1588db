import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { MissingProgramError } from './missing-program.js';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

/** The Chromium of CHROMIUM or PATH. Throws `MissingProgramError` if there is none. */
export async function findChromium(): Promise<string> {
  const named = process.env['CHROMIUM'];
  const candidates = named === undefined || named === '' ? NAMES : [named];
  for (const candidate of candidates) {
    const runs = await promisify(execFile)(candidate, ['--version']).then(
      () => true,
      () => false,
    );
    if (runs) return candidate;
  }
  throw new MissingProgramError(
    `The tests in a browser need Chromium, and none was found (${candidates.join(', ')}): on Debian ` +
      'or Ubuntu `apt-get install chromium`, elsewhere set CHROMIUM to its path.',
  );
}
