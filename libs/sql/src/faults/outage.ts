/** Kinds of a `StorageFault` that end by themselves: the same statement may pass soon. */
const PASSING = new Set(['unavailable', 'timeout', 'full']);

/** SQLSTATE: connection lost (class 08), too many, disk full, server stopping or starting. */
const AWAY = /^(08...|53300|53100|57P0[123])$/;

/** What the system says of a connection that could not be made, or broke. */
const UNREACHABLE = new Set(['ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'EHOSTUNREACH', 'EPIPE']);

/** Causes of causes: enough for what wraps a driver's error, and an end to circles. */
const DEEPEST = 5;

/**
 * Whether the storage is away or full, so that a retry makes sense; false where the statement
 * itself is at fault. Looks through what wraps the driver's own error.
 */
export function isOutage(error: unknown, depth = DEEPEST): boolean {
  if (!(error instanceof Error) || depth === 0) return false;
  if (error.name === 'StorageFault') return 'kind' in error && PASSING.has(String(error.kind));
  const code = 'code' in error ? String(error.code) : '';
  if ('severity' in error && AWAY.test(code)) return true;
  if ('syscall' in error && UNREACHABLE.has(code)) return true;
  return wrappedBy(error).some((inner) => isOutage(inner, depth - 1));
}

function wrappedBy(error: Error): unknown[] {
  return [
    error.cause,
    'driverError' in error ? error.driverError : undefined,
    ...(error instanceof AggregateError ? (error.errors as unknown[]) : []),
  ];
}
