import { ConsumerPositions, LOG_TABLES, replay } from '#libs/event-log';
import { PROJECTOR, Projection, isRefusedValue } from '#libs/store';
import type { Logger } from '#libs/telemetry';
import { requireStore } from '../settings/data-directory.js';
import type { Settings } from '../settings/settings.js';
import { openStorage } from './storage.js';

/** A table that holds what no log says. */
const CREDENTIALS = 'credentials';

/**
 * Makes the read models again from the log: drops every table but credentials and `kept` (and,
 * embedded, the log itself), and folds the log from its beginning [A4]. Other consumers begin again
 * when their services start. The services must be stopped. Resolves with the number of records
 * folded. Throws `UnusableDataDirectory` where there is no store.
 */
export async function rebuild(
  settings: Settings,
  logger: Logger,
  kept: readonly string[],
): Promise<number> {
  if (settings.backend.type === 'embedded') requireStore(settings.dataDir);
  const storage = await openStorage(settings, 'rebuild', logger);
  try {
    const { database, log } = storage;
    await database.dropAll([...LOG_TABLES, CREDENTIALS, ...kept]);
    await database.migrate();
    const positions = new ConsumerPositions(database);
    const projection = new Projection();
    let folded = 0;
    for (let partition = 0; partition < log.partitions; partition++) {
      let next = 0;
      for await (const batch of replay(log, PROJECTOR, partition)) {
        const fold = () =>
          database.write(async (transaction) => {
            if (!(await positions.advance(transaction, batch)))
              throw new Error('Another process reads the log: stop the services.');
            await projection.apply(transaction, partition, batch.records);
          });
        await fold().catch((error: unknown) => {
          if (isRefusedValue(error)) return fold();
          throw error;
        });
        next = batch.next;
        folded += batch.records.length;
      }
      logger.info({ partition, next }, 'Partition folded');
    }
    return folded;
  } finally {
    await storage.close();
  }
}
