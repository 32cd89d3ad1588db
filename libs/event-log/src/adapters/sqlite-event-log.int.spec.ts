import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqlite } from '#libs/sql';
import type { LogUnderTest } from '../event-log.contract.js';
import { describeEventLog } from '../event-log.contract.js';
import { eventLogEntities, eventLogMigrations } from '../schema.js';
import { SqliteEventLog } from './sqlite-event-log.js';

describeEventLog('SQLite', async () => open(await mkdtemp(join(tmpdir(), 'event-log-'))));

async function open(directory: string): Promise<LogUnderTest> {
  const database = await openSqlite({
    file: join(directory, 'sbp.sqlite'),
    entities: eventLogEntities('sqlite'),
    migrations: eventLogMigrations('sqlite'),
  });
  const log = new SqliteEventLog(database);
  const shut = async (): Promise<void> => {
    await log.close();
    await database.close();
  };
  return {
    log,
    database,
    reopen: async () => {
      await shut();
      return open(directory);
    },
    close: async () => {
      await shut();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
