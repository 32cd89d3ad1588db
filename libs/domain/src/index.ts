export * from './session-state.js';
export * from './changes.js';
export type { Command, PlainCommand, PlainCommandOf } from './command.js';
export type { Decision, Issued } from './issued.js';
export * from './decide.js';
export * from './evolve.js';
export * from './session/life.js';
export type { CopiedPart } from './roaming/decide-roaming.js';
export { noteMessage } from './roaming/decide-roaming.js';
export * from './roaming/export-fate.js';
export * from './roaming/fork-point.js';
export type { LifeChange } from './session/decide-session.js';
export * from './adaptation/adaptation.js';
export * from './surfaces/acknowledgement.js';
export * from './surfaces/tether.js';
export type { CallEnd, MadeCall, MadeRound } from './tools/decide-tools.js';
export { TOO_LARGE, failureOf, roundMessages } from './tools/round-messages.js';
export type { ReturnedCall, ReturnedRound } from './tools/round-messages.js';
export { SURFACE_PREFIX, surfaceTools } from './tools/surface-tools.js';
export { callsOf, dueAt } from './tools/waiting-calls.js';
export type { SurfaceTool } from './tools/surface-tools.js';
export * from './transcript/message-bytes.js';
export type { WindowTurn } from './transcript/context-window.js';
export { firstSent } from './transcript/context-window.js';
export { isAnswer } from './transcript/message-key.js';
export { endingCalls } from './transcript/ending-calls.js';
export { sentMessages, usesTools } from './transcript/dangling-calls.js';
export type { StoredTranscript, TurnOutcome, TurnView } from './transcript/stored-transcript.js';
export * from './transcript/transcript.js';
export * from './transcript/turn-text.js';
export { MAX_ADOPTIONS, mustGiveUp } from './turns/decide-turns.js';
export type {
  AskedTurn,
  EarlierRounds,
  Opener,
  TurnClaim,
  TurnEntry,
  TurnOutput,
  TurnRequest,
  UpstreamAnswer,
  WaitingRequest,
} from './turns/decide-turns.js';
export { MAX_WAITING, endedTurns, startedTurns, wasQueued } from './turns/queue.js';
