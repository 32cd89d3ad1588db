import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { MissingProgramError } from './missing-program.js';

/** How to start a program that refuses to run as root. */
export interface Unprivileged {
  /** Undefined where this process is not root and nothing needs to change. */
  readonly user: { readonly uid: number; readonly gid: number } | undefined;
  /** Put before the command; then the prefix changes the user, not the caller. */
  readonly prefix: readonly string[];
}

const USERS = ['postgres', 'nobody'];
/**
 * The files of the programs that are started may lie in root's home, where no other user can look.
 */
const CAPABILITY = '+dac_override';

/**
 * Chooses an ordinary user of this system where we are root. If that user cannot reach one of the
 * `paths`, the program keeps the one capability of root that it needs to do so, through `setpriv`.
 */
export function unprivileged(paths: readonly string[]): Unprivileged {
  if (process.getuid?.() !== 0) return { user: undefined, prefix: [] };
  const user = ordinaryUser();
  if (paths.every(isReachableByAll)) return { user, prefix: [] };
  const prefix = [
    'setpriv',
    // Without it access(2), by which initdb looks for its programs, would ignore the capability.
    '--securebits=+no_setuid_fixup',
    `--reuid=${user.uid}`,
    `--regid=${user.gid}`,
    '--clear-groups',
    `--inh-caps=${CAPABILITY}`,
    `--ambient-caps=${CAPABILITY}`,
    '--',
  ];
  try {
    execFileSync('setpriv', [...prefix.slice(1), 'true'], { stdio: 'ignore' });
  } catch {
    throw new MissingProgramError(
      `Postgres does not run as root, and the user it would run as cannot reach ${paths.join(', ')}: ` +
        'run as an ordinary user, or put the project and --data-dir where all users may look.',
    );
  }
  return { user, prefix };
}

function ordinaryUser(): { readonly uid: number; readonly gid: number } {
  const entries = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  for (const name of USERS) {
    const entry = entries.find(([first]) => first === name);
    if (entry !== undefined) return { uid: Number(entry[2]), gid: Number(entry[3]) };
  }
  throw new MissingProgramError(
    `Postgres does not run as root, and there is no user ${USERS.join(' or ')}.`,
  );
}

/** Whether every user may pass through all folders above the path. */
function isReachableByAll(target: string): boolean {
  for (let folder = path.dirname(path.resolve(target)); ; folder = path.dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return false;
    if (folder === path.dirname(folder)) return true;
  }
}
