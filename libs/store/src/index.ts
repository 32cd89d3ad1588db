export * from './entities/index.js';
export * from './migrations/index.js';
export { Claims } from './claims/claims.js';
export type {
  ClaimOutcome,
  ClaimTarget,
  OpenOutcome,
  Release,
  SeenTarget,
} from './claims/claims.js';
export { QueueHeads } from './claims/queue-heads.js';
export type { QueueHead } from './claims/queue-heads.js';
export { Orphans } from './claims/orphans.js';
export type { Orphan } from './claims/orphans.js';
export { TurnKeys, bodyName, idempotencyName } from './claims/turn-keys.js';
export type { FirstCaller, HeldKey, TurnKey } from './claims/turn-keys.js';
export { UnconfirmedAnswers } from './claims/unconfirmed-answers.js';
export { Heartbeat } from './processes/heartbeat.js';
export { ProcessIdentity } from './processes/process-identity.js';
export { ProcessWatch } from './processes/process-watch.js';
export { Processes } from './processes/processes.js';
export type { HeldClaim } from './processes/processes.js';
export { PROJECTOR, Projection } from './projection/projection.js';
export type { PokeTarget } from './projection/projection.js';
export { ProjectionProgress } from './projection/projection-progress.js';
export { Freshness } from './reads/freshness.js';
export { SessionInspection } from './reads/session-inspection.js';
export type { InspectedClaim, InspectedSession } from './reads/session-inspection.js';
export { SessionReads } from './reads/session-reads.js';
export type { TurnGlance, TurnRecord, TurnSummary, WaitingRecord } from './reads/session-reads.js';
export { SurfaceReads } from './reads/surface-reads.js';
export type { Glance, OwedTurn, SurfaceView } from './reads/surface-reads.js';
export { StoredTurn, Transcript, emptyTranscript, withCommas } from './reads/transcript.js';
export { Transcripts, storedTranscript } from './reads/transcripts.js';
export type { TranscriptAsOf, TranscriptEntry } from './reads/transcripts.js';
