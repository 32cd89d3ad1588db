export { Database } from './database.js';
export type {
  DatabaseCounts,
  Dialect,
  EntityClass,
  MigrationClass,
  Schema,
  WriteOptions,
} from './database.js';
export { DirectoryInUse, lockDirectory } from './directory-lock.js';
export type { DirectoryLock } from './directory-lock.js';
export { isOutage } from './outage.js';
export { openPostgres } from './postgres.js';
export type { PostgresOptions } from './postgres.js';
export { openSqlite } from './sqlite.js';
export type { SqliteOptions } from './sqlite.js';
export { part, raw, sql, tuples } from './statement.js';
export type { SqlPart, SqlResult, SqlValue } from './statement.js';
export { StorageFault } from './storage-fault.js';
export type { StorageFaultKind } from './storage-fault.js';
