import { pino } from 'pino';
import type { DestinationStream, Logger as PinoLogger, LogFn, LoggerOptions } from 'pino';
import { loggedError, loggedMessage, withLoggedErrors } from './logged-error.js';
import { REDACTED_FIELDS, redactText } from './redaction.js';
import { currentRequest } from './request.js';

export type Logger = PinoLogger;

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/**
 * A logger that writes one JSON object a line, by default to stdout, with `name` saying which
 * program it is. Credentials are removed: fields by their names, tokens in paths and texts by their
 * form. Errors are shown without what they carry along (`loggedError`). Lines made while a request
 * is handled have its `request_id`.
 */
export function createLogger(
  name: string,
  level: LogLevel,
  destination?: DestinationStream,
): Logger {
  const options = {
    name,
    level,
    redact: REDACTED_FIELDS,
    timestamp: pino.stdTimeFunctions.isoTime,
    mixin: requestFields,
    // Pino's own would read the properties of what `withLoggedErrors` has made.
    serializers: { err: (value: unknown) => (value instanceof Error ? loggedError(value) : value) },
    formatters: {
      level: (label: string) => ({ level: label }),
      log: withLoggedErrors,
    },
    hooks: { streamWrite: redactText, logMethod: withOwnMessage },
  } satisfies LoggerOptions;
  return destination === undefined ? pino(options) : pino(options, destination);
}

function requestFields(): object {
  const request = currentRequest();
  return request === null ? {} : { request_id: request.requestId };
}

/** An error alone gets the message that may be shown: Pino would take the error's own. */
function withOwnMessage(this: Logger, args: Parameters<LogFn>, log: LogFn): void {
  const [fields, ...rest] = args as unknown[];
  if (fields instanceof Error && rest.length === 0) {
    log.apply(this, [{ err: fields }, loggedMessage(fields)]);
  } else log.apply(this, args);
}
