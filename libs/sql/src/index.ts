export { BIGINT, CreateTables, INT, KEY, NULLABLE, column, varchar } from './create-tables.js';
export { Database } from './database.js';
export type {
  DatabaseCounts,
  Dialect,
  EntityClass,
  MigrationClass,
  Schema,
  WriteOptions,
} from './database.js';
export { DirectoryInUse, lockDirectory, lockFile } from './sqlite/directory-lock.js';
export type { DirectoryLock } from './sqlite/directory-lock.js';
export { isOutage } from './faults/outage.js';
export { openPostgres } from './postgres/postgres.js';
export type { PostgresOptions } from './postgres/postgres.js';
export { openSqlite } from './sqlite/sqlite.js';
export type { SqliteOptions } from './sqlite/sqlite.js';
export { part, raw, sql, tuples } from './statement.js';
export type { SqlPart, SqlResult, SqlValue } from './statement.js';
export { StorageFault } from './faults/storage-fault.js';
export type { StorageFaultKind } from './faults/storage-fault.js';
