export * from './ports/event-log.js';
