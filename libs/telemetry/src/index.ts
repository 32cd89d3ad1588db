export { createLogger, LOG_LEVELS } from './logger.js';
export type { Logger, LogLevel } from './logger.js';
export { NestLogger } from './nest-logger.js';
export { redactText } from './redaction.js';
