import type { ChaosResult } from './chaos-run.js';
import { foundTurns } from './history-transcript.js';
import type { Step } from './steps.js';
import { STEPS, STEP_NAMES } from './steps.js';
import { isBusy } from './work-ledger.js';

/** What a run must have done so that its success means something. */
export interface Demands {
  readonly kills: number;
  /** Of each named step, on each topology. */
  readonly eachStep: number;
  readonly turns: number;
}

/** In how many of the kills the process must have had something in hand. */
const BUSY_SHARE = 0.5;
const SHOWN_VIOLATIONS = 40;

function killsAt({ kills }: ChaosResult, step: Step): number {
  return kills.filter((kill) => kill.step === step).length;
}

/** Turns that completed. */
function turnsOf({ conversations }: ChaosResult): number {
  return conversations.reduce(
    (sum, each) => sum + foundTurns(each).filter(({ text }) => text !== null).length,
    0,
  );
}

/** Everything that speaks against a run; nothing: it passed. */
export function objections(results: readonly ChaosResult[], demands: Demands): readonly string[] {
  const kills = results.flatMap((result) => result.kills);
  const busy = kills.filter(({ hand }) => isBusy(hand)).length;
  const turns = results.reduce((sum, result) => sum + turnsOf(result), 0);
  return [
    ...results.flatMap(({ topology, violations }) =>
      violations
        .slice(0, SHOWN_VIOLATIONS)
        .map(
          ({ rule, conversation, detail }) => `${topology}: ${rule}: ${conversation}: ${detail}`,
        ),
    ),
    ...results.flatMap(({ topology, crashes }) =>
      crashes.map(
        ({ name, pid, code, signal }) =>
          `${topology}: ${name} (pid ${pid}) ended by itself: ${signal ?? `exit code ${code}`}`,
      ),
    ),
    ...results.flatMap((result) =>
      STEP_NAMES.filter((step) => killsAt(result, step) < demands.eachStep).map(
        (step) =>
          `${result.topology}: ${step} (${STEPS[step]}) was hit ${killsAt(result, step)} times, not ${demands.eachStep}`,
      ),
    ),
    ...(kills.length < demands.kills ? [`${kills.length} kills, not ${demands.kills}`] : []),
    ...(turns < demands.turns ? [`${turns} turns, not ${demands.turns}`] : []),
    ...(busy < kills.length * BUSY_SHARE
      ? [`only ${busy} of ${kills.length} kills interrupted work`]
      : []),
  ];
}

/** The figures of one topology, in a few lines. */
export function figures(result: ChaosResult): readonly string[] {
  const { topology, kills, adoptions, conversations } = result;
  const calls = conversations.flatMap((each) => each.calls);
  const outcomes = Map.groupBy(calls, ({ outcome }) => outcome.type);
  const connections = conversations.flatMap((each) => each.connections);
  const times = adoptions.map(({ afterMs }) => afterMs).sort((left, right) => left - right);
  const longest = Math.max(0, ...calls.map(({ begunAt, endedAt }) => endedAt - begunAt));
  const byVictim = Map.groupBy(kills, ({ victim }) => victim);
  return [
    `${topology}: ${kills.length} kills, ${kills.filter(({ hand }) => isBusy(hand)).length} of them interrupted work`,
    `  at ${STEP_NAMES.map((step) => `${step} ${killsAt(result, step)}`).join(', ')}, at random ${kills.filter(({ step }) => step === null).length}`,
    `  of ${[...byVictim]
      .map(([victim, of]) => `${victim} ${of.length}`)
      .sort()
      .join(', ')}`,
    `  ${conversations.length} sessions, ${turnsOf(result)} turns completed; ${calls.length} calls: ${[...outcomes].map(([type, of]) => `${of.length} ${type}`).join(', ')}; the longest took ${seconds(longest)}`,
    `  ${connections.length} surface connections, ${conversations.reduce((sum, each) => sum + each.acknowledged.length, 0)} acknowledgements followed`,
    `  ${times.length} turns adopted; p50 ${seconds(times[Math.floor(times.length / 2)])}, max ${seconds(times.at(-1))}`,
    `  ${result.violations.length} promises broken`,
  ];
}

function seconds(ms: number | undefined): string {
  return ms === undefined ? '–' : `${(ms / 1000).toFixed(1)} s`;
}
