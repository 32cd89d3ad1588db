import type { Dialect, EntityClass, MigrationClass } from '#libs/sql';
import { LogRecordRow, LogRecords1780000000001 } from './adapters/sqlite-log-schema.js';
import { ConsumerPositionRow, ConsumerPositions1780000000002 } from './consumer-positions.js';

/** Tables that hold the log itself: a rebuild must keep them (`Database.dropAll`). */
export const LOG_TABLES: readonly string[] = ['log_records'];

/**
 * On SQLite the log is in the database; beside Postgres it is in Kafka. Consumers' positions are in
 * both.
 */
export function eventLogEntities(dialect: Dialect): readonly EntityClass[] {
  return dialect === 'sqlite' ? [LogRecordRow, ConsumerPositionRow] : [ConsumerPositionRow];
}

export function eventLogMigrations(dialect: Dialect): readonly MigrationClass[] {
  return dialect === 'sqlite'
    ? [LogRecords1780000000001, ConsumerPositions1780000000002]
    : [ConsumerPositions1780000000002];
}
