import SqliteFile from 'better-sqlite3';
import { DatabaseError } from 'pg';
import { QueryFailedError, QueryRunnerAlreadyReleasedError } from 'typeorm';
import type { StorageFaultKind } from './storage-fault.js';
import { StorageFault } from './storage-fault.js';

type SqliteError = InstanceType<typeof SqliteFile.SqliteError>;

/** SQLSTATEs, and classes of them (two characters), by the kind of fault that they are. */
const POSTGRES_KINDS: Readonly<Record<string, StorageFaultKind>> = {
  '53100': 'full',
  // statement_timeout, lock_timeout, idle_in_transaction_session_timeout, transaction_timeout
  '57014': 'timeout',
  '55P03': 'timeout',
  '25P03': 'timeout',
  '25P04': 'timeout',
  // The server became a standby.
  '25006': 'unavailable',
  // A row that its index cannot hold.
  '54000': 'data',
  '08': 'unavailable',
  '22': 'data',
  '28': 'unavailable',
  '3D': 'unavailable',
  '53': 'unavailable',
  '57': 'unavailable',
  '58': 'unavailable',
  '23': 'conflict',
  '40': 'conflict',
};
/**
 * SQLSTATEs, and classes of them, whose messages name tables, constraints and settings at most.
 * Those of the others, such as class 22, quote the value or the statement.
 */
const POSTGRES_QUOTABLE = new Set(
  ['08', '23', '25', '28', '3D', '40', '53', '55', '57', '58'].concat(['42P01', '42703']),
);

/** Primary codes of SQLite. */
const SQLITE_KINDS: Readonly<Record<string, StorageFaultKind>> = {
  SQLITE_FULL: 'full',
  SQLITE_BUSY: 'timeout',
  SQLITE_LOCKED: 'timeout',
  SQLITE_CONSTRAINT: 'conflict',
  SQLITE_MISMATCH: 'data',
  SQLITE_TOOBIG: 'data',
  SQLITE_IOERR: 'unavailable',
  SQLITE_CANTOPEN: 'unavailable',
  SQLITE_CORRUPT: 'unavailable',
  SQLITE_NOTADB: 'unavailable',
  SQLITE_NOMEM: 'unavailable',
  SQLITE_PROTOCOL: 'unavailable',
};
/** SQLITE_ERROR is any problem of a statement, and its message may quote it; these do not. */
const SQLITE_QUOTABLE = /^no such (?:table|column): [\w.]+$/;

/** Makes a fault of whatever a driver or TypeORM threw. */
export function storageFault(error: unknown): StorageFault {
  if (error instanceof StorageFault) return error;
  const cause: unknown = error instanceof QueryFailedError ? error.driverError : error;
  if (cause instanceof SqliteFile.SqliteError) return sqliteFault(cause);
  if (cause instanceof DatabaseError) return postgresFault(cause);
  return clientFault(cause);
}

/** What `work` threw, where a failure of the storage is a fault, and all else is as it was. */
export function thrownByWork(error: unknown): unknown {
  return isStorageError(error) ? storageFault(error) : error;
}

function isStorageError(error: unknown): boolean {
  return (
    error instanceof QueryFailedError ||
    error instanceof QueryRunnerAlreadyReleasedError ||
    error instanceof SqliteFile.SqliteError ||
    error instanceof DatabaseError
  );
}

function postgresFault(error: DatabaseError): StorageFault {
  const { code = 'XX000', severity, table, column, constraint, routine } = error;
  const group = code.slice(0, 2);
  const kind = POSTGRES_KINDS[code] ?? POSTGRES_KINDS[group] ?? 'statement';
  const quotable = POSTGRES_QUOTABLE.has(code) || POSTGRES_QUOTABLE.has(group);
  const facts = { error: 'DatabaseError', severity, table, column, constraint, routine };
  return new StorageFault(kind, inWords(kind, code, quotable ? error.message : null), code, facts);
}

function sqliteFault(error: SqliteError): StorageFault {
  const { code, message } = error;
  const primary = code.split('_', 2).join('_');
  const kind = SQLITE_KINDS[primary] ?? 'statement';
  const quotable = primary !== 'SQLITE_ERROR' || SQLITE_QUOTABLE.test(message);
  return new StorageFault(kind, inWords(kind, code, quotable ? message : null), code, {
    error: 'SqliteError',
  });
}

/** What this side of the connection threw: no server said it. */
function clientFault(error: unknown): StorageFault {
  if (!(error instanceof Error) || error instanceof TypeError || error instanceof RangeError) {
    const name = error instanceof Error ? error.name : typeof error;
    return new StorageFault('statement', inWords('statement', name, null), undefined, {
      error: name,
    });
  }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  const words = inWords('unavailable', code ?? error.name, error.message || null);
  return new StorageFault('unavailable', words, code, { error: error.name });
}

const WORDS: Readonly<Record<StorageFaultKind, string>> = {
  unavailable: 'The database is not available',
  timeout: 'The database took too long',
  full: 'The disk of the database is full',
  conflict: 'The database found a conflict',
  data: 'The database refused a value',
  statement: 'The database refused a statement',
};

function inWords(kind: StorageFaultKind, code: string, message: string | null): string {
  return `${WORDS[kind]} (${code})${message === null ? '' : `: ${message}`}`;
}
