export * from './session-state.js';
export * from './changes.js';
export * from './evolve.js';
export * from './tether.js';
export * from './transcript.js';
export * from './acknowledgement.js';
export * from './decide.js';
