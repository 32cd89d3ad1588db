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
export type { PokeTarget } from './projection/batch.js';
export { PROJECTOR, Projection } from './projection/projection.js';
export type { Applied, NewlyQuarantined } from './projection/projection.js';
export type { FoldRecord } from './projection/record-fold.js';
export { isRefusedValue } from './projection/refused-values.js';
export { ProjectionProgress } from './projection/projection-progress.js';
export { Quarantine } from './quarantine/quarantine.js';
export type {
  QuarantineCounts,
  QuarantinedEvent,
  QuarantinedSession,
  RetryOutcome,
} from './quarantine/quarantine.js';
export { SessionQuarantined } from './quarantine/stored-state.js';
export { ExportReads } from './reads/export-reads.js';
export type { ExportRecord } from './reads/export-reads.js';
export { Lineage } from './reads/lineage.js';
export type { DerivedSession } from './reads/lineage.js';
export { Promises } from './reads/promises.js';
export type { PromisedSession } from './reads/promises.js';
export { TurnEnds } from './reads/turn-ends.js';
export { Freshness } from './reads/freshness.js';
export { SessionInspection } from './reads/session-inspection.js';
export type { InspectedClaim, InspectedSession } from './reads/session-inspection.js';
export { SessionList } from './reads/session-list.js';
export type { ListedSession, SessionFilter, SessionPlace } from './reads/session-list.js';
export { SessionReads, hasEnded, mustBeOpen } from './reads/session-reads.js';
export type { TurnGlance, TurnRecord, TurnSummary, WaitingRecord } from './reads/session-reads.js';
export { SurfaceReads } from './reads/surface-reads.js';
export type { Glance, OwedTurn, SurfaceView } from './reads/surface-reads.js';
export { Snapshots } from './reads/snapshots.js';
export type { Snapshot, SnapshotKind, SnapshotPlace } from './reads/snapshots.js';
export { StoredTurn, Transcript, emptyTranscript, withCommas } from './reads/transcript.js';
export { ToolReads, messagesOf } from './reads/tool-reads.js';
export type { CallRecord, CallToTell, StoredCall, StoredRound } from './reads/tool-reads.js';
export type { Piece } from './reads/conversation-pieces.js';
export { Transcripts, storedTranscript } from './reads/transcripts.js';
export type { ConversationAsOf, TranscriptAsOf, TranscriptEntry } from './reads/transcripts.js';
