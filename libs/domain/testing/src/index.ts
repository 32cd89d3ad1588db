export * from './events.js';
export * from './given.js';
export * from './random-log.js';
export * from './stored.js';
export * from './tool-events.js';
