/**
 * - `unavailable`: the database cannot be reached, or its disk is broken; later it may work;
 * - `timeout`: a statement, a lock or the whole work took too long;
 * - `full`: no room on the disk;
 * - `conflict`: a constraint, a deadlock or a concurrent change stands against it;
 * - `data`: a value does not fit its column, or is none of its type: whoever wrote it is at fault;
 * - `statement`: the database refused the statement itself: a defect of ours.
 */
export type StorageFaultKind =
  'unavailable' | 'timeout' | 'full' | 'conflict' | 'data' | 'statement';

/** What is known of the driver's error, beside its code; never a value. */
export interface DriverFacts {
  /** The class of the driver's error. */
  readonly error: string;
  readonly severity?: string | undefined;
  readonly table?: string | undefined;
  readonly column?: string | undefined;
  readonly constraint?: string | undefined;
  /** The routine of Postgres that refused. */
  readonly routine?: string | undefined;
}

/**
 * Storage failed. Its message, cause and stack hold no statement, no parameter and no value of a
 * row, because those are what people and models wrote and errors are logged.
 */
export class StorageFault extends Error {
  override readonly name = 'StorageFault';

  constructor(
    readonly kind: StorageFaultKind,
    message: string,
    /** SQLSTATE of Postgres, extended code of SQLite, or an errno's name, where there is one. */
    readonly code?: string,
    cause?: DriverFacts,
  ) {
    super(message, cause === undefined ? {} : { cause });
  }
}
