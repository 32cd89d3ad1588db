/** What a log says of an error: none of its other properties, because they may hold anything. */
export interface LoggedError {
  readonly name: string;
  readonly message: string;
  readonly code?: string | number;
  readonly stack?: string;
  readonly cause?: LoggedError | string;
  readonly errors?: readonly (LoggedError | string)[];
}

const LONGEST_MESSAGE = 1000;
const MOST_FRAMES = 30;
/** Causes of causes, and errors of an AggregateError: enough to see why, and an end to circles. */
const DEEPEST_CAUSE = 5;
const MOST_ERRORS = 5;
/** How deep in a logged object errors are looked for. */
const DEEPEST_FIELD = 4;

/**
 * An error as the log may show it: name, message, code, stack, causes. Errors of database drivers
 * carry the conversation with them, as the statement's parameters and in details that quote rows:
 * all that is left out.
 */
export function loggedError(error: unknown): LoggedError | string {
  return describe(error, DEEPEST_CAUSE);
}

/** The message that `loggedError` shows. */
export function loggedMessage(error: unknown): string {
  const logged = loggedError(error);
  return typeof logged === 'string' ? logged : logged.message;
}

/** Fields of a log line, with every error in them as `loggedError` shows it. */
export function withLoggedErrors(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      name === 'err' && value !== undefined ? loggedError(value) : replaced(value, DEEPEST_FIELD),
    ]),
  );
}

function replaced(value: unknown, depth: number): unknown {
  if (value instanceof Error) return loggedError(value);
  if (depth === 0 || typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((each) => replaced(each, depth - 1));
  // Objects of a class say themselves how they are written.
  if (Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [name, replaced(each, depth - 1)]),
  );
}

function describe(error: unknown, depth: number): LoggedError | string {
  if (!(error instanceof Error)) return shortened(primitive(error));
  const told = driverErrorOf(error);
  const name = shortened(error.name);
  const message = shortened(messageOf(told));
  const code = codeOf(told);
  const causes = depth === 0 ? {} : causesOf(error, depth - 1);
  return {
    name,
    message,
    ...(code === undefined ? {} : { code }),
    stack: [`${name}: ${message}`, ...framesOf(error.stack)].join('\n'),
    ...causes,
  };
}

function causesOf(error: Error, depth: number): Pick<LoggedError, 'cause' | 'errors'> {
  const { cause } = error;
  const errors: unknown[] = error instanceof AggregateError ? error.errors : [];
  return {
    ...(cause === undefined ? {} : { cause: describe(cause, depth) }),
    ...(errors.length === 0
      ? {}
      : { errors: errors.slice(0, MOST_ERRORS).map((each) => describe(each, depth)) }),
  };
}

/** TypeORM's own error repeats the driver's, and adds the statement and its parameters. */
function driverErrorOf(error: Error): Error {
  return error.name === 'QueryFailedError' &&
    'driverError' in error &&
    error.driverError instanceof Error
    ? error.driverError
    : error;
}

/** SQLSTATE class 22, data exceptions: Postgres quotes the value that it could not take. */
const QUOTES_VALUES = /^22/;

function messageOf(error: Error): string {
  const fromPostgres = 'severity' in error && 'code' in error;
  return fromPostgres && QUOTES_VALUES.test(String(error.code))
    ? 'The database refused a value.'
    : error.message;
}

function codeOf(error: Error): string | number | undefined {
  if (!('code' in error)) return undefined;
  const { code } = error;
  if (typeof code === 'number') return code;
  return typeof code === 'string' && /^[\w.-]{1,100}$/.test(code) ? code : undefined;
}

/** The calls alone: a stack begins with the message, as it was when the error was made. */
function framesOf(stack: string | undefined): string[] {
  const lines = (stack ?? '').split('\n');
  const last = lines.findLastIndex((line) => !/^\s+at /.test(line));
  return lines.slice(last + 1).slice(0, MOST_FRAMES);
}

function primitive(thrown: unknown): string {
  if (typeof thrown === 'string') return thrown;
  if (typeof thrown === 'object' && thrown !== null) return 'something that is no Error';
  return String(thrown);
}

function shortened(text: string): string {
  return text.length > LONGEST_MESSAGE ? `${text.slice(0, LONGEST_MESSAGE)}…` : text;
}
