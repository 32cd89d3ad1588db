import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';

/**
 * A folder outside `node_modules`, in `SBP_CACHE_DIR` or `~/.cache/statebridge`, that is made at
 * the first call and then kept. It appears at once and whole: several processes may ask at the same
 * time.
 *
 * @param name says everything that its content depends on.
 * @param fill works in an empty folder, and resolves with the folder to keep: it, or one in it.
 */
export async function cached(
  name: string,
  fill: (work: string) => Promise<string>,
): Promise<string> {
  const cache = process.env['SBP_CACHE_DIR'] ?? path.join(homedir(), '.cache', 'statebridge');
  const kept = path.join(cache, name);
  if (existsSync(kept)) return kept;
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(path.join(cache, '.making-'));
  try {
    await rename(await fill(work), kept).catch((error: unknown) => {
      // Another process was first; what it made is the same.
      if (!existsSync(kept)) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return kept;
}
