import type { OutageKind } from './outages.js';
import { OUTAGES } from './outages.js';
import type { Random } from './random.js';
import type { Step } from './steps.js';
import { isSent, isSlow } from './steps.js';

/** What a process is doing when it is asked to stop. */
export type RestartMoment =
  /** Whatever it does. */
  | 'any'
  /** It runs a turn that ends within the time that a stopping process gives its turns. */
  | 'short turn'
  /** It runs a turn that lasts longer than that. */
  | 'long turn';

/** One blow to come; the choices that need the moment's situation are numbers to choose by. */
export type PlannedBlow = {
  /** After the blow before it, in ms. */
  readonly gapMs: number;
  /** 0 ≤ r < 1: which of the processes that it could be. */
  readonly choice: number;
} & (
  | {
      readonly type: 'step';
      readonly step: Step;
      /** See `Arming`. */
      readonly afterMs: number;
    }
  /** SIGKILL to any process, at any moment. */
  | { readonly type: 'random' }
  /** SIGTERM to a process of this kind; it is started again when it has ended. */
  | { readonly type: 'restart'; readonly kind: string; readonly moment: RestartMoment }
  | { readonly type: 'outage'; readonly kind: OutageKind }
);

export interface Schedule {
  readonly steps: readonly Step[];
  /** How often each of these is hit at the most; see `timesOf`. */
  readonly each: number;
  readonly random: number;
  /** How often each kind of process is restarted at each of its moments. */
  readonly restarts: number;
  /** How often each kind of outage comes. */
  readonly outages: number;
  readonly kinds: readonly Kind[];
  /**
   * Between blows, in ms. A named one is prepared soon after the least, and comes when its step is
   * passed.
   */
  readonly gap: { readonly least: number; readonly most: number };
}

/** A kind of process. */
export interface Kind {
  readonly name: string;
  readonly runsTurns: boolean;
}

/**
 * How long an append has been on its way when its process dies, in ms: sometimes it reaches the
 * log, sometimes not.
 */
const SENT_FOR_MS = [0, 1, 3];

/**
 * How often a run is to hit a step: those that can be hit in several ways `each` times, others once
 * less, those that take long twice less; but all of them once.
 */
export function timesOf(step: Step, each: number): number {
  if (isSent(step)) return each;
  return each === 0 ? 0 : Math.max(1, each - (isSlow(step) ? 2 : 1));
}

/** The blows of a run, in an order that follows from the seed. */
export function planBlows(schedule: Schedule, random: Random): readonly PlannedBlow[] {
  const { each, gap } = schedule;
  const soon = Math.round(gap.least + (gap.most - gap.least) / 4);
  const chosen = (most: number): Pick<PlannedBlow, 'gapMs' | 'choice'> => ({
    gapMs: random.between(gap.least, most),
    choice: random.next(),
  });
  const steps = schedule.steps.flatMap((step) =>
    Array.from({ length: timesOf(step, each) }, (_, occurrence): PlannedBlow => ({
      type: 'step',
      step,
      afterMs:
        step === 'T4'
          ? random.between(60, 250)
          : (SENT_FOR_MS[occurrence % SENT_FOR_MS.length] ?? 0),
      ...chosen(soon),
    })),
  );
  const anywhere = Array.from({ length: schedule.random }, (): PlannedBlow => ({
    type: 'random',
    ...chosen(gap.most),
  }));
  const restarts = schedule.kinds.flatMap((kind) =>
    momentsOf(kind).flatMap((moment) =>
      Array.from({ length: schedule.restarts }, (): PlannedBlow => ({
        type: 'restart',
        kind: kind.name,
        moment,
        ...chosen(soon),
      })),
    ),
  );
  const outages = OUTAGES.flatMap((kind) =>
    Array.from({ length: schedule.outages }, (): PlannedBlow => ({
      type: 'outage',
      kind,
      ...chosen(soon),
    })),
  );
  return random.shuffled([...steps, ...anywhere, ...restarts, ...outages]);
}

/** The moments at which a kind of process is to be restarted. */
export function momentsOf({ runsTurns }: Kind): readonly RestartMoment[] {
  return runsTurns ? ['any', 'short turn', 'long turn'] : ['any'];
}
