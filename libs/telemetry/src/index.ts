export { Faults } from './faults.js';
export { createLogger, LOG_LEVELS } from './logger.js';
export type { Logger, LogLevel } from './logger.js';
export { NestLogger } from './nest-logger.js';
export { redactText } from './redaction.js';
export { currentRequest, requestIdOf, withRequest } from './request.js';
export type { CurrentRequest } from './request.js';
