export * from './facts.js';
export * from './given.js';
export * from './random-log.js';
