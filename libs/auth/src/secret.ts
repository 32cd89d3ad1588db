import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';

const LEAST_BYTES = 16;
const FILE_NAME = 'secret';

/**
 * The secret that signs tokens cannot be used; the message says where it came from and what to do.
 */
export class UnusableSecret extends Error {
  override readonly name = 'UnusableSecret';
}

export interface SecretSource {
  /** The setting `SBP_JWT_SECRET`, if it is set. */
  readonly secret: string | null;
  /** Where the secret is kept otherwise. */
  readonly dataDir: string;
}

/**
 * The secret that signs all tokens of this deployment: the given one, else the one kept in the data
 * directory (file `secret`, mode 0600), made at the first start. Processes that start at once agree
 * on one. The file's text, set as `SBP_JWT_SECRET` elsewhere, gives the same secret. Throws
 * `UnusableSecret`.
 */
export function loadSecret({ secret, dataDir }: SecretSource): Uint8Array {
  if (secret !== null) {
    const problem = secretProblem(secret);
    if (problem !== null) throw new UnusableSecret(`SBP_JWT_SECRET ${problem}`);
    return Buffer.from(secret, 'utf8');
  }
  const file = path.resolve(dataDir, FILE_NAME);
  const kept = readKept(file) ?? create(file);
  const problem = shortness(kept);
  if (problem === null) return Buffer.from(kept, 'utf8');
  throw new UnusableSecret(
    `${file} ${problem} Remove the file to get a new secret; tokens that were given out end with the old one.`,
  );
}

/** Why a text cannot be `SBP_JWT_SECRET`, and what to do; null if it can. */
export function secretProblem(secret: string): string | null {
  const problem = shortness(secret);
  return problem === null
    ? null
    : `${problem} Set a longer one, for example by \`openssl rand -hex 32\`.`;
}

function shortness(secret: string): string | null {
  const bytes = Buffer.byteLength(secret, 'utf8');
  return bytes >= LEAST_BYTES ? null : `has ${bytes} bytes and needs at least ${LEAST_BYTES}.`;
}

function readKept(file: string): string | null {
  const stats = statSync(file, { throwIfNoEntry: false });
  if (stats === undefined) return null;
  if ((stats.mode & 0o077) !== 0) {
    throw new UnusableSecret(
      `${file} can be read by other users. Run \`chmod 600 ${file}\`, or remove it to get a new one.`,
    );
  }
  return readFileSync(file, 'utf8').trim();
}

/**
 * The file appears whole or not at all, and the first of several processes wins: a hard link never
 * replaces a file.
 */
function create(file: string): string {
  const folder = path.dirname(file);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const draft = `${file}.${randomBytes(6).toString('hex')}.new`;
  const descriptor = openSync(draft, 'wx', 0o600);
  try {
    writeSync(descriptor, `${randomBytes(32).toString('base64url')}\n`);
    fsyncSync(descriptor);
    closeSync(descriptor);
    linkSync(draft, file);
    syncFolder(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    unlinkSync(draft);
  }
  return readKept(file) ?? '';
}

function syncFolder(folder: string): void {
  const descriptor = openSync(folder, 'r');
  fsyncSync(descriptor);
  closeSync(descriptor);
}
