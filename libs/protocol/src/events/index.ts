export { Actor, ProcessAddress } from './envelope.js';
export * from './session-events.js';
export * from './surface-events.js';
export * from './tool-events.js';
export * from './session-origin.js';
export * from './tool-policy.js';
export * from './turn-events.js';
export * from './log-event.js';
