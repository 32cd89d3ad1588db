import type { LoggerService } from '@nestjs/common';
import { loggedMessage } from './logged-error.js';
import type { Logger } from './logger.js';

/**
 * Nest's own account of how it wires an application: of interest only to somebody who debugs the
 * wiring.
 */
const WIRING = new Set([
  'NestFactory',
  'InstanceLoader',
  'RoutesResolver',
  'RouterExplorer',
  'NestApplication',
]);

/** Says as an error why it cannot listen, and throws the same: whoever called reports it. */
const LISTENING = 'NestApplication';

type NestLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace';

/** Lets Nest write through our logger. */
export class NestLogger implements LoggerService {
  private readonly logger: Logger;

  constructor(logger: Logger) {
    this.logger = logger;
  }

  log(message: unknown, ...rest: unknown[]): void {
    this.write('info', message, rest);
  }

  fatal(message: unknown, ...rest: unknown[]): void {
    this.write('fatal', message, rest);
  }

  error(message: unknown, ...rest: unknown[]): void {
    this.write('error', message, rest);
  }

  warn(message: unknown, ...rest: unknown[]): void {
    this.write('warn', message, rest);
  }

  debug(message: unknown, ...rest: unknown[]): void {
    this.write('debug', message, rest);
  }

  verbose(message: unknown, ...rest: unknown[]): void {
    this.write('trace', message, rest);
  }

  /** Nest passes the context last; errors may bring a stack or an Error before it. */
  private write(level: NestLevel, message: unknown, rest: readonly unknown[]): void {
    const context = rest.at(-1);
    const details = rest.slice(0, -1).filter((detail) => detail !== undefined);
    const fields = {
      ...(typeof context === 'string' ? { context } : {}),
      ...(details.length > 0 ? { details } : {}),
      ...(message instanceof Error ? { err: message } : {}),
    };
    const quiet =
      (level === 'info' && typeof context === 'string' && WIRING.has(context)) ||
      (level === 'error' && context === LISTENING);
    this.logger[quiet ? 'debug' : level](
      fields,
      message instanceof Error ? loggedMessage(message) : textOf(message),
    );
  }
}

function textOf(message: unknown): string {
  return typeof message === 'string' ? message : JSON.stringify(message);
}
