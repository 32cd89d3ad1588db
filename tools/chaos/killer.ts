import { setTimeout as delay } from 'node:timers/promises';
import type { ProcessExit, SupervisedProcess } from '../supervise/index.js';
import type { PlannedKill } from './kill-schedule.js';
import type { Arming, Step } from './steps.js';
import type { Topology } from './topology.js';
import type { InHand } from './work-ledger.js';
import { inHand, readLedger } from './work-ledger.js';

/** How long a step is waited for, in ms; then it is tried again later. */
const STEP_PATIENCE_MS = 15_000;
/** How often a step is tried that is not passed. */
const ATTEMPTS = 4;
/** After this an order that was taken back is known to have been, in ms. */
const DISARM_MS = 500;
const POLL_MS = 20;

export interface Kill {
  readonly at: number;
  readonly victim: string;
  readonly pid: number;
  /** The step at which it really died; null for a random one. */
  readonly step: Step | null;
  /** What the process had in hand. */
  readonly hand: InHand;
}

/**
 * Kills one process after the other as planned, whether or not all has recovered; gives up when
 * `stopped`.
 */
export async function kill(
  topology: Topology,
  plan: readonly PlannedKill[],
  stopped: AbortSignal,
  onKill: (kill: Kill) => void,
): Promise<readonly Kill[]> {
  const kills: Kill[] = [];
  const queue = plan.map((planned) => ({ planned, attempts: 0 }));
  let lastAt = Date.now();
  for (let next = queue.shift(); next !== undefined && !stopped.aborted; next = queue.shift()) {
    const { planned, attempts } = next;
    const wait = lastAt + planned.gapMs - Date.now();
    await delay(Math.max(0, wait), undefined, { signal: stopped }).catch(() => undefined);
    const exit = await killOne(topology, planned, stopped);
    if (exit === null) {
      if (attempts + 1 < ATTEMPTS) queue.push({ planned, attempts: attempts + 1 });
      continue;
    }
    lastAt = Date.now();
    const hand = inHand(readLedger(topology.ledgers, exit.pid));
    const done = { at: lastAt, victim: exit.name, pid: exit.pid, step: hand.step, hand };
    kills.push(done);
    onKill(done);
  }
  return kills;
}

async function killOne(
  topology: Topology,
  planned: PlannedKill,
  stopped: AbortSignal,
): Promise<ProcessExit | null> {
  const { step, afterMs, choice } = planned;
  const victim = await chooseVictim(
    step === null ? topology.victims : topology.passing(step),
    choice,
    stopped,
  );
  if (victim === null) return null;
  const patience = AbortSignal.any([stopped, AbortSignal.timeout(STEP_PATIENCE_MS)]);
  const exited = exitOf(victim, patience);
  if (step === null) victim.kill('SIGKILL');
  else arm(victim, { arm: step, afterMs });
  const exit = await exited;
  if (exit !== null) return exit;
  // It may pass the step at this very moment.
  const late = exitOf(victim, AbortSignal.timeout(DISARM_MS));
  arm(victim, { arm: null, afterMs: 0 });
  return late;
}

/** One that serves; waited for where none does. */
async function chooseVictim(
  candidates: readonly SupervisedProcess[],
  choice: number,
  stopped: AbortSignal,
): Promise<SupervisedProcess | null> {
  while (!stopped.aborted) {
    const serving = candidates.filter(({ isReady }) => isReady);
    const victim = serving[Math.floor(choice * serving.length)];
    if (victim !== undefined) return victim;
    await delay(POLL_MS);
  }
  return null;
}

function arm({ child }: SupervisedProcess, arming: Arming): void {
  // A channel that closes belongs to a process that has just died: its end is seen by itself.
  child?.send(arming, () => undefined);
}

function exitOf(victim: SupervisedProcess, patience: AbortSignal): Promise<ProcessExit | null> {
  return new Promise((resolve) => {
    const settle = (exit: ProcessExit | null): void => {
      victim.events.off('exit', settle);
      patience.removeEventListener('abort', onAbort);
      resolve(exit);
    };
    const onAbort = (): void => settle(null);
    victim.events.on('exit', settle);
    patience.addEventListener('abort', onAbort);
  });
}
