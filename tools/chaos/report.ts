import type { Adoption } from './adoptions.js';
import type { ChaosResult } from './chaos-run.js';
import type { DeathOfSurface } from './device.js';
import { DEATHS } from './device.js';
import { foundTurns } from './history-transcript.js';
import type { OutageKind } from './outages.js';
import { OUTAGES } from './outages.js';
import type { RestartMoment } from './kill-schedule.js';
import { momentsOf, timesOf } from './kill-schedule.js';
import type { Step } from './steps.js';
import { STEPS, STEP_NAMES } from './steps.js';
import { isBusy } from './work-ledger.js';

/** What a run must have done so that its success means something. */
export interface Demands {
  readonly kills: number;
  /** Of each named step, on each topology, as `timesOf` counts. */
  readonly eachStep: number;
  /** Of each kind of process, at each of its moments. */
  readonly eachRestart: number;
  /** Of each kind of outage, where there are any. */
  readonly eachOutage: number;
  readonly turns: number;
}

/** In how many of the kills the process must have had something in hand. */
const BUSY_SHARE = 0.5;
const SHOWN_VIOLATIONS = 40;
const MIB = 1024 * 1024;
/** What no process may ever hold in memory, whoever reads its answers slowly, in bytes. */
const MOST_MEMORY = 640 * MIB;

function killsAt({ kills }: ChaosResult, step: Step): number {
  return kills.filter((kill) => kill.step === step).length;
}

function restartsAt({ restarts }: ChaosResult, kind: string, moment: RestartMoment): number {
  return restarts.filter((each) => each.kind === kind && each.moment === moment).length;
}

function diedAt({ conversations }: ChaosResult, at: DeathOfSurface): number {
  return conversations.flatMap(({ connections }) =>
    connections.filter((each) => each.diedAt === at),
  ).length;
}

function countOf(outages: ChaosResult['outages'], kind: OutageKind): number {
  return outages.filter((outage) => outage.kind === kind).length;
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
      STEP_NAMES.filter((step) => killsAt(result, step) < timesOf(step, demands.eachStep)).map(
        (step) =>
          `${result.topology}: ${step} (${STEPS[step]}) was hit ${killsAt(result, step)} times, not ${timesOf(step, demands.eachStep)}`,
      ),
    ),
    ...results.flatMap((result) =>
      result.kinds.flatMap((kind) =>
        momentsOf(kind)
          .filter((moment) => restartsAt(result, kind.name, moment) < demands.eachRestart)
          .map(
            (moment) =>
              `${result.topology}: ${kind.name} was stopped ${restartsAt(result, kind.name, moment)} times (${moment}), not ${demands.eachRestart}`,
          ),
      ),
    ),
    ...results.flatMap(({ topology, outages }) =>
      topology === 'embedded'
        ? []
        : OUTAGES.filter((kind) => countOf(outages, kind) < demands.eachOutage).map(
            (kind) =>
              `${topology}: ${countOf(outages, kind)} outages of the kind "${kind}", not ${demands.eachOutage}`,
          ),
    ),
    ...results
      .filter(() => demands.eachRestart > 0)
      .filter(({ restarts }) => restarts.every(({ handedOver }) => handedOver.length === 0))
      .map(({ topology }) => `${topology}: no turn was handed over`),
    ...results.flatMap(({ topology, memory }) =>
      Object.entries(memory)
        .filter(([, bytes]) => bytes > MOST_MEMORY)
        .map(([name, bytes]) => `${topology}: ${name} held ${mib(bytes)} in memory`),
    ),
    ...results.flatMap((result) =>
      DEATHS.filter((at) => demands.eachStep > 0 && diedAt(result, at) === 0).map(
        (at) => `${result.topology}: no surface died at a ${at}`,
      ),
    ),
    ...(kills.length < demands.kills ? [`${kills.length} kills, not ${demands.kills}`] : []),
    ...(turns < demands.turns ? [`${turns} turns, not ${demands.turns}`] : []),
    // Random kills alone may meet processes that have nothing to do.
    ...(demands.eachStep > 0 && busy < kills.length * BUSY_SHARE
      ? [`only ${busy} of ${kills.length} kills interrupted work`]
      : []),
  ];
}

/** The figures of one topology, in a few lines. */
export function figures(result: ChaosResult): readonly string[] {
  const { topology, kills, restarts, adoptions, conversations, memory } = result;
  const calls = conversations.flatMap((each) => each.calls);
  const outcomes = Map.groupBy(calls, ({ outcome }) => outcome.type);
  const connections = conversations.flatMap((each) => each.connections);
  const cancellations = conversations.flatMap((each) => each.cancellations);
  const stopped = cancellations.filter(({ told }) => told?.status === 'cancelled');
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
    `  ${connections.length} surface connections, ${DEATHS.map((at) => `${diedAt(result, at)} died at a ${at}`).join(', ')}, ${conversations.reduce((sum, each) => sum + each.acknowledged.length, 0)} acknowledgements followed`,
    `  ${restarts.length} restarts; ${restarts.reduce((sum, { running }) => sum + running, 0)} turns ran then, ${restarts.reduce((sum, { handedOver }) => sum + handedOver.length, 0)} of them were handed over; the longest stop took ${seconds(Math.max(0, ...restarts.map(({ at, endedAt }) => endedAt - at)))}`,
    `  outages: ${OUTAGES.map((kind) => `${kind} ${countOf(result.outages, kind)}`).join(', ')}`,
    `  turns adopted: ${adoptedIn(adoptions, 'kill')} after a kill; ${adoptedIn(adoptions, 'hand-over')} after a hand-over`,
    `  ${cancellations.length} cancellations, ${stopped.length} of a turn that ran`,
    `  ${calls.filter(({ reading }) => reading === 'stalling').length} callers stopped reading, ${calls.filter(({ reading }) => reading === 'steadily').length} read slowly; the most memory of a process: ${mib(Math.max(0, ...Object.values(memory)))}`,
    `  ${result.violations.length} promises broken`,
  ];
}

function adoptedIn(adoptions: readonly Adoption[], after: Adoption['after']): string {
  const times = adoptions
    .filter((adoption) => adoption.after === after)
    .map(({ afterMs }) => afterMs)
    .sort((left, right) => left - right);
  return `${times.length}, p50 ${seconds(times[Math.floor(times.length / 2)])}, max ${seconds(times.at(-1))}`;
}

function mib(bytes: number): string {
  return `${Math.round(bytes / MIB)} MiB`;
}

function seconds(ms: number | undefined): string {
  return ms === undefined ? '–' : `${(ms / 1000).toFixed(1)} s`;
}
