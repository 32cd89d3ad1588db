/**
 * Points at which a process can be made to kill itself: of a turn (T), of an orphan's adoption (O),
 * of a hand-over (H), of a cancellation (C), of a turn that waits (Q) or interrupts (I), of a
 * repeated request (R), of calls of tools (S), of a turn that is parked (P), of an attach (A), of
 * an acknowledgement (K), of a fold (F), of what other consumers of the log keep: the audit trail
 * (L) and usage (U).
 */
export const STEPS = {
  T1: 'claim committed, its answer not used',
  T2: 'start of a turn sent to the log',
  T3: 'start of a turn acknowledged by the log',
  T4: 'in the middle of the stream',
  T5: 'completion sent to the log',
  T6: 'completion acknowledged by the log',
  T7: 'claim released, the caller not answered',
  T8: 'caller answered, its answer not confirmed',
  O1: 'claim of an orphan committed, adoption not sent to the log',
  O2: 'adoption acknowledged by the log, the turn not run again',
  H1: 'hand-over begun by a process that was asked to stop',
  C1: 'claim of a turn taken to stop it, cancellation not sent to the log',
  C2: 'cancellation sent to the log',
  C3: 'cancellation acknowledged by the log, nobody told',
  Q1: 'turn sent to the log to wait',
  Q2: 'turn that waits acknowledged by the log, and not known to be folded',
  Q3: 'turn that waited poked, its session not claimed',
  Q4: 'session claimed for a turn that waited',
  I1: 'claim taken by a turn that interrupts, nobody told',
  R1: 'key of a request written, its turn not begun',
  R2: 'turn of a repeated key found, its answer not followed',
  S1: 'calls of tools sent to the log',
  S2: 'calls of tools acknowledged by the log, and not known to be folded',
  S3: 'calls of tools folded, a TOOL_CALL about to be written',
  S4: 'result of a tool sent to the log',
  S5: 'result of a tool acknowledged by the log',
  S6: 'calls of tools have returned, the model not asked again',
  S7: 'TOOL_CALL written, its result not come',
  P1: 'parking of a turn sent to the log',
  P2: 'parking of a turn acknowledged by the log, its claim not released',
  P3: 'claim of a turn that waits no more committed, its adoption not sent to the log',
  A1: 'attach sent to the log',
  A2: 'attach folded, SESSION_ATTACHED about to be written',
  A3: 'in the middle of a drain',
  K1: 'acknowledgement sent to the log',
  K2: 'acknowledgement acknowledged by the log',
  F1: 'calls of tools on their way into the read models',
  F2: 'calls of tools folded, the next batch not asked for',
  F3: 'result of a tool on its way into the read models',
  F4: 'result of a tool folded, the next batch not asked for',
  F5: 'parking of a turn folded, the next batch not asked for',
  L1: 'batch of the log on its way into the audit trail',
  L2: 'batch committed to the audit trail, the next not asked for',
  U1: 'batch of the log on its way into the counters of usage',
  U2: 'batch committed to the counters of usage, the next not asked for',
} as const;

/**
 * Points of what is done to two sessions, at one server or two (G): they have a run of their own,
 * which does these things one after the other.
 */
export const ROAMING_STEPS = {
  G1: 'handoff sent to the log',
  G2: 'handoff acknowledged by the log, the new session not opened',
  G3: 'opening of a session that is made from another one sent to the log',
  G4: 'that opening acknowledged by the log, nobody told',
  G5: 'use of an export sent to the log',
  G6: 'use of an export acknowledged by the log, nobody told',
  G7: 'part of a copy acknowledged by the log',
  G8: 'import from another server sent to the log',
  G9: 'import from another server acknowledged by the log, that server not asked',
} as const;

export type RoamingStep = keyof typeof ROAMING_STEPS;

/** Any point at which a process can be made to kill itself. */
export type KillPoint = Step | RoamingStep;

export type Step = keyof typeof STEPS;
export const STEP_NAMES = Object.keys(STEPS) as readonly Step[];

/** Which service passes a step. */
export function ownerOf(
  step: Step,
): 'completions' | 'gateway' | 'sessions' | 'audit' | 'analytics' {
  if (step.startsWith('F')) return 'sessions';
  if (step.startsWith('L')) return 'audit';
  if (step.startsWith('U')) return 'analytics';
  const isGateways = ['A', 'K', 'S3', 'S4', 'S5', 'S7'].some((name) => step.startsWith(name));
  return isGateways ? 'gateway' : 'completions';
}

/**
 * Steps at which an append or a batch is on its way, for more or less long: each is hit in several
 * ways.
 */
export function isSent(step: Step): boolean {
  return ['T2', 'T5', 'C2', 'Q1', 'S1', 'S4', 'P1', 'A1', 'K1', 'F1', 'F3', 'L1', 'U1'].includes(
    step,
  );
}

/** Steps that a process passes only after it was made to, which takes some seconds. */
export function isSlow(step: Step): boolean {
  return needsOrphan(step) || step === 'H1';
}

/** Steps that a process passes only where another one left a turn behind. */
export function needsOrphan(step: Step): boolean {
  return step.startsWith('O');
}

/**
 * Sent to a process by its channel: kill yourself the next time that you pass this step; null takes
 * the last order back. `afterMs` is how long after sending (see `isSent`) it dies, if the log
 * does not answer first; 0: at once. For T4, how long after the start was acknowledged.
 */
export interface Arming {
  readonly arm: KillPoint | null;
  readonly afterMs: number;
}

export function isArming(message: unknown): message is Arming {
  return (
    typeof message === 'object' && message !== null && 'arm' in message && 'afterMs' in message
  );
}
