import type { Random } from './random.js';
import type { Step } from './steps.js';
import { STEP_NAMES } from './steps.js';

/** One kill to come; the choices that need the moment's situation are numbers to choose by. */
export interface PlannedKill {
  /** Null: any process, at any moment. */
  readonly step: Step | null;
  /** After the kill before it, in ms. */
  readonly gapMs: number;
  /** See `Arming`. */
  readonly afterMs: number;
  /** 0 ≤ r < 1: which of the processes that it could be. */
  readonly choice: number;
}

export interface Schedule {
  /** How often each named step is hit. */
  readonly each: number;
  readonly random: number;
  /**
   * Between kills, in ms. A named one is prepared soon after the least, and comes when its step is
   * passed.
   */
  readonly gap: { readonly least: number; readonly most: number };
}

/**
 * How long an append has been on its way when its process dies, in ms: sometimes it reaches the
 * log, sometimes not.
 */
const SENT_FOR_MS = [0, 1, 3];

/** The kills of a run, in an order that follows from the seed. */
export function planKills(
  { each, random: count, gap }: Schedule,
  random: Random,
): readonly PlannedKill[] {
  const named = STEP_NAMES.flatMap((step) =>
    Array.from({ length: each }, (_, occurrence) => ({ step, occurrence })),
  );
  const anywhere = Array.from({ length: count }, () => ({ step: null, occurrence: 0 }));
  return random
    .shuffled<{ step: Step | null; occurrence: number }>([...named, ...anywhere])
    .map(({ step, occurrence }) => ({
      step,
      gapMs: random.between(
        gap.least,
        step === null ? gap.most : Math.round(gap.least + (gap.most - gap.least) / 4),
      ),
      afterMs:
        step === 'T4'
          ? random.between(60, 250)
          : (SENT_FOR_MS[occurrence % SENT_FOR_MS.length] ?? 0),
      choice: random.next(),
    }));
}
