import { pino } from 'pino';
import type { DestinationStream, Logger as PinoLogger } from 'pino';
import { REDACTED_FIELDS, redactText } from './redaction.js';

export type Logger = PinoLogger;

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/**
 * A logger that writes one JSON object a line, by default to stdout, with `name` saying which
 * program it is. Credentials are removed: fields by their names, tokens in paths and texts by their
 * form.
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
    formatters: { level: (label: string) => ({ level: label }) },
    hooks: { streamWrite: redactText },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}
