import type { Schema } from '#libs/sql';
import type { Logger } from '#libs/telemetry';
import { UnusableDataDirectory, requireStore } from '../settings/data-directory.js';
import type { Settings } from '../settings/settings.js';
import type { Storage } from './storage.js';
import { openStorage } from './storage.js';

/**
 * The storage of an installation for a command that looks at it. @throws UnusableDataDirectory,
 * embedded, where there is no store or a server runs on it
 */
export async function openIdleStorage(
  settings: Settings,
  name: string,
  logger: Logger,
  tables?: Schema,
): Promise<Storage> {
  const { backend, dataDir } = settings;
  if (backend.type === 'embedded') requireStore(dataDir);
  try {
    return await openStorage(settings, name, logger, tables);
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'DirectoryInUse') throw error;
    throw new UnusableDataDirectory(dataDir, 'a server runs on it; stop it first', error);
  }
}
