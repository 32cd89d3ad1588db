import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import type { DurableAcknowledgement } from './history.js';
import type { KillPoint } from './steps.js';

/**
 * The folder in which processes under test note what they have in hand; each writes `<pid>.jsonl`
 * there.
 */
export const LEDGER_VARIABLE = 'SBP_CHAOS_LEDGER';

/**
 * One note, written before its process goes on, so that it outlives a SIGKILL. `at`: `Date.now()`.
 */
export type WorkNote = { readonly at: number } & (
  | { readonly note: 'claimed' | 'adopted'; readonly session: string; readonly turn: string }
  | { readonly note: 'released'; readonly session: string }
  | { readonly note: 'begun' | 'done'; readonly work: Work }
  | SurfaceNote
  /** The last note of a process that killed itself. */
  | { readonly note: 'step'; readonly step: KillPoint }
);

/**
 * What can be in hand besides claimed turns: an attached surface, an append, a batch of records
 * being folded.
 */
export type Work = 'surface' | 'append' | 'fold';

/** A fact about a surface on its way to the log; `seq` is 0 except in acknowledgements. */
export interface SurfaceNote {
  readonly note: 'surface-fact';
  readonly fact: 'attached' | 'detached' | 'acknowledged';
  readonly phase: 'sent' | 'appended';
  readonly session: string;
  readonly attachId: string;
  readonly seq: number;
}

/** What a process had in hand at its last note. */
export interface InHand {
  /** Claims held, as `session turn`. */
  readonly claims: readonly string[];
  readonly surfaces: number;
  readonly appends: number;
  readonly folds: number;
  /** The step at which it killed itself; null if it did not. */
  readonly step: KillPoint | null;
}

export function ledgerFile(folder: string, pid: number): string {
  return path.join(folder, `${pid}.jsonl`);
}

export function readLedger(folder: string, pid: number): readonly WorkNote[] {
  const file = ledgerFile(folder, pid);
  return existsSync(file) ? parse(readFileSync(file, 'utf8')) : [];
}

/** The notes of all processes, by time. */
export function readAllLedgers(folder: string): readonly WorkNote[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.jsonl'))
    .map((name) => path.join(folder, name))
    .flatMap((file) => parse(readFileSync(file, 'utf8')))
    .sort((left, right) => left.at - right.at);
}

function parse(lines: string): WorkNote[] {
  return lines
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as WorkNote);
}

type ClaimNote = Extract<WorkNote, { readonly turn: string }>;

/** How each claim came about that a process held at its last note. */
export function claimsIn(notes: readonly WorkNote[]): readonly ClaimNote[] {
  const claims = new Map<string, ClaimNote>();
  for (const note of notes) {
    if (note.note === 'claimed' || note.note === 'adopted') claims.set(note.session, note);
    else if (note.note === 'released') claims.delete(note.session);
  }
  return [...claims.values()];
}

export function inHand(notes: readonly WorkNote[]): InHand {
  const work = { surface: 0, append: 0, fold: 0 };
  let step: KillPoint | null = null;
  for (const note of notes) {
    if (note.note === 'begun') work[note.work]++;
    else if (note.note === 'done') work[note.work]--;
    else if (note.note === 'step') step = note.step;
  }
  return {
    claims: claimsIn(notes).map(({ session, turn }) => `${session} ${turn}`),
    surfaces: work.surface,
    appends: work.append,
    folds: work.fold,
    step,
  };
}

/** Whether a process that dies now leaves something half done. */
export function isBusy({ claims, surfaces, appends, folds }: InHand): boolean {
  return claims.length + surfaces + appends + folds > 0;
}

/**
 * The acknowledgements of a session that must have moved its cursor: appended, and from its attach
 * to then nobody sent another attach or a detach, so that the attachment was still the current one.
 * In a tie of clocks it does not count.
 */
export function durableAcknowledgements(
  notes: readonly WorkNote[],
  sessionId: string,
): readonly DurableAcknowledgement[] {
  const facts = notes.filter(
    (note): note is SurfaceNote & WorkNote =>
      note.note === 'surface-fact' && note.session === sessionId,
  );
  return facts.flatMap(({ fact, phase, attachId, at, seq }) => {
    if (fact !== 'acknowledged' || phase !== 'appended') return [];
    const attach = facts.find(
      (each) => each.fact === 'attached' && each.attachId === attachId && each.phase === 'sent',
    );
    const disturbed = facts.some(
      (each) =>
        each.phase === 'sent' &&
        (each.fact === 'detached' || (each.fact === 'attached' && each.attachId !== attachId)) &&
        each.at >= (attach?.at ?? 0) &&
        each.at <= at,
    );
    return attach === undefined || disturbed ? [] : [{ at, seq }];
  });
}
