export * from './session-state.js';
export * from './changes.js';
export * from './evolve.js';
export * from './surfaces/tether.js';
export * from './transcript/transcript.js';
export * from './surfaces/acknowledgement.js';
export * from './decide.js';
