export * from './session-state.js';
export * from './changes.js';
export type { Command, PlainCommand, PlainCommandOf } from './command.js';
export type { Decision, Issued } from './issued.js';
export * from './decide.js';
export * from './evolve.js';
export * from './surfaces/acknowledgement.js';
export * from './surfaces/tether.js';
export * from './transcript/message-bytes.js';
export type { WindowTurn } from './transcript/context-window.js';
export { firstSent } from './transcript/context-window.js';
export { isAnswer } from './transcript/message-key.js';
export { sentMessages, usesTools } from './transcript/dangling-calls.js';
export type { StoredTranscript, TurnOutcome, TurnView } from './transcript/stored-transcript.js';
export * from './transcript/transcript.js';
export * from './transcript/turn-text.js';
export { MAX_ADOPTIONS, mustGiveUp } from './turns/decide-turns.js';
export type {
  AskedTurn,
  Opener,
  TurnClaim,
  TurnEntry,
  TurnOutput,
  TurnRequest,
  UpstreamAnswer,
  WaitingRequest,
} from './turns/decide-turns.js';
export { MAX_WAITING, endedTurns, startedTurns, wasQueued } from './turns/queue.js';
