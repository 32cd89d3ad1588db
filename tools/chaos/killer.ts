import { setTimeout as delay } from 'node:timers/promises';
import type { ProcessExit, SupervisedProcess } from '../supervise/index.js';
import type { Blows, Kill, Restart } from './blows.js';
import type { WaitingCall } from './conversation.js';
import type { PlannedBlow, RestartMoment } from './kill-schedule.js';
import { orderNextStart, withdrawStartOrder } from './start-order.js';
import type { Outage, OutageKind } from './outages.js';
import { pauseProcess } from './outages.js';
import type { Arming, KillPoint } from './steps.js';
import { needsOrphan } from './steps.js';
import type { Topology } from './topology.js';
import { kindOf } from './topology.js';
import { claimsIn, inHand, readLedger } from './work-ledger.js';

/** How long a moment or a step is waited for, in ms; then it is tried again later. */
const STEP_PATIENCE_MS = 15_000;
/** How long an orphan's adopter is waited for: a dead process is known to be dead after 4 s. */
const ADOPTION_PATIENCE_MS = 25_000;
/** How often a blow is tried for which the moment does not come. */
const ATTEMPTS = 12;
/** After this an order that was taken back is known to have been, in ms. */
const DISARM_MS = 500;
const POLL_MS = 20;

/** How long a process that is asked to stop lets its turns go on, in ms. */
const DRAIN_MS = 6_000;
/** What a turn may last longer, or shorter, than it was asked to, in ms. */
const MARGIN_MS = 1_500;
/** A short turn runs at least so long after the signal, in ms. */
const SHORT_MS = 300;

/** What is known of the turns that run. */
interface RunningCalls {
  /** The one call that is waited for in a session; null if that is unknown. */
  waitingCall(sessionId: string): WaitingCall | null;
  /** The next turns are to last longer than a stopping process waits. */
  askForLong(): void;
}

export interface KillerOptions {
  readonly calls: RunningCalls;
  /** No blow begins after it. */
  readonly stopped: AbortSignal;
  readonly onKill: (kill: Kill) => void;
  readonly onRestart: (restart: Restart) => void;
  readonly onOutage: (outage: Outage) => void;
}

/** Strikes one process after the other as planned, whether or not all has recovered. */
export class Killer {
  private readonly kills: Kill[] = [];
  private readonly restarts: Restart[] = [];
  private readonly outages: Outage[] = [];
  /** Restarts that were begun, by the victim's name. */
  private readonly stopping = new Map<string, Promise<void>>();

  constructor(
    private readonly topology: Topology,
    private readonly options: KillerOptions,
  ) {
    for (const victim of topology.victims) victim.events.on('exit', (exit) => this.noteKill(exit));
  }

  /** Resolves when all was done, or `stopped` and what was begun is done. */
  async run(plan: readonly PlannedBlow[]): Promise<Blows> {
    const { stopped } = this.options;
    const queue = plan.map((planned) => ({ planned, attempts: 0 }));
    let lastAt = Date.now();
    for (let next = queue.shift(); next !== undefined && !stopped.aborted; next = queue.shift()) {
      const { planned, attempts } = next;
      const wait = lastAt + planned.gapMs - Date.now();
      await delay(Math.max(0, wait), undefined, { signal: stopped }).catch(() => undefined);
      if (await this.strike(planned)) lastAt = Date.now();
      else if (attempts + 1 < ATTEMPTS) queue.push({ planned, attempts: attempts + 1 });
    }
    await Promise.all(this.stopping.values());
    const { kills, restarts, outages } = this;
    return { kills, restarts, outages };
  }

  /** False where the moment did not come. */
  private async strike(planned: PlannedBlow): Promise<boolean> {
    switch (planned.type) {
      case 'random':
        return this.killAnywhere(planned.choice);
      case 'restart':
        return this.restart(planned.kind, planned.moment, planned.choice);
      case 'outage':
        return this.outage(planned.kind, planned.choice);
      case 'step':
        if (needsOrphan(planned.step)) return this.killAdopter(planned);
        return planned.step === 'H1' ? this.killAtHandOver(planned) : this.killAtStep(planned);
    }
  }

  private async killAnywhere(choice: number): Promise<boolean> {
    const victim = await this.choose(this.topology.victims, choice, 'any');
    if (victim === null) return false;
    const exited = exitOf([victim], AbortSignal.timeout(STEP_PATIENCE_MS));
    victim.kill('SIGKILL');
    return (await exited) !== null;
  }

  private async killAtStep({ step, afterMs, choice }: PlannedStep): Promise<boolean> {
    const victim = await this.choose(this.topology.passing(step), choice, 'any');
    if (victim === null) return false;
    arm(victim, { arm: step, afterMs });
    if ((await exitOf([victim], this.patience(STEP_PATIENCE_MS))) !== null) return true;
    return this.disarm(victim);
  }

  /** A process that is asked to stop while it runs a long turn, and dies when it hands it over. */
  private async killAtHandOver({ step, afterMs, choice }: PlannedStep): Promise<boolean> {
    const victim = await this.choose(this.topology.passing(step), choice, 'long turn');
    if (victim === null) return false;
    arm(victim, { arm: step, afterMs });
    await this.ask(victim, 'long turn');
    return this.kills.some((kill) => kill.pid === victim.pid && kill.step === step);
  }

  /** One runner dies in the middle of a turn, and then the process that takes the turn over. */
  private async killAdopter({ step, afterMs, choice }: PlannedStep): Promise<boolean> {
    const runners = this.topology.passing(step);
    const victim = await this.choose(runners, choice, 'any');
    if (victim === null) return false;
    const others = runners.filter((each) => each !== victim && each.isReady);
    if (others.length === 0) orderNextStart(this.topology.ledgers, { arm: step, afterMs });
    for (const other of others) arm(other, { arm: step, afterMs });
    arm(victim, { arm: 'T4', afterMs: 100 });
    const patience = this.patience(ADOPTION_PATIENCE_MS);
    while (!patience.aborted) {
      const exit = await exitOf(runners, patience);
      if (exit === null || this.stepOf(exit.pid) === step) break;
    }
    withdrawStartOrder(this.topology.ledgers);
    await Promise.all(runners.map((runner) => this.disarm(runner)));
    return !patience.aborted;
  }

  private async restart(kind: string, moment: RestartMoment, choice: number): Promise<boolean> {
    const ofKind = this.topology.victims.filter(({ name }) => kindOf(name) === kind);
    const victim = await this.choose(ofKind, choice, moment);
    if (victim === null) return false;
    // Not awaited: others die while it ends. `run` waits for it.
    void this.ask(victim, moment);
    return true;
  }

  private async outage(kind: OutageKind, choice: number): Promise<boolean> {
    const { infrastructure } = this.topology;
    const at = Date.now();
    let victim: string;
    if (kind === 'a pause') {
      const runner = await this.choose(this.topology.passing('T1'), choice, 'any');
      if (runner === null) return false;
      victim = runner.name;
      this.topology.pausing(runner);
      await pauseProcess(runner);
    } else if (infrastructure === null) return false;
    else victim = await infrastructure.takeAway(kind, choice);
    const outage = { kind, victim, at, endedAt: Date.now() };
    this.outages.push(outage);
    this.options.onOutage(outage);
    return true;
  }

  /** Asks a process to stop, and resolves when it has ended. */
  private ask(victim: SupervisedProcess, moment: RestartMoment): Promise<void> {
    const { name } = victim;
    const asked = this.awaitEnd(victim, moment).finally(() => this.stopping.delete(name));
    this.stopping.set(name, asked);
    return asked;
  }

  private async awaitEnd(victim: SupervisedProcess, moment: RestartMoment): Promise<void> {
    const { name, pid } = victim;
    const at = Date.now();
    const running = this.handOf(pid).claims.length;
    const exited = exitOf([victim], AbortSignal.timeout(STEP_PATIENCE_MS));
    this.topology.askToStop(victim);
    const exit = await exited;
    // One that was killed on the way counts as killed; one that fails to end, as a crash.
    if (exit?.code !== 0) return;
    const handedOver = this.handOf(pid).claims;
    const times = { at, endedAt: Date.now() };
    const restart = {
      ...times,
      victim: name,
      kind: kindOf(name),
      moment,
      pid,
      running,
      handedOver,
    };
    this.restarts.push(restart);
    this.options.onRestart(restart);
  }

  /** One that serves and suits the moment; waited for where none does. */
  private async choose(
    candidates: readonly SupervisedProcess[],
    choice: number,
    moment: RestartMoment,
  ): Promise<SupervisedProcess | null> {
    const patience = this.patience(STEP_PATIENCE_MS);
    if (moment === 'long turn') this.options.calls.askForLong();
    while (!patience.aborted) {
      const suiting = candidates.filter(
        (each) => each.isReady && !this.stopping.has(each.name) && this.suits(each, moment),
      );
      const victim = suiting[Math.floor(choice * suiting.length)];
      if (victim !== undefined) return victim;
      await delay(POLL_MS);
    }
    return null;
  }

  private suits({ pid }: SupervisedProcess, moment: RestartMoment): boolean {
    if (moment === 'any') return true;
    return claimsIn(readLedger(this.topology.ledgers, pid)).some(({ note, session, at }) => {
      const call = this.options.calls.waitingCall(session);
      // A claim from before the call, or of an adopter, is that of an earlier turn, which a caller
      // left or lost: it may end at any moment.
      if (call === null || note === 'adopted' || at < call.begunAt) return false;
      const remaining = call.endsAt - Date.now();
      return moment === 'long turn'
        ? remaining > DRAIN_MS + MARGIN_MS
        : remaining > SHORT_MS && remaining < DRAIN_MS - MARGIN_MS;
    });
  }

  /** Takes an order back; true if the process passed its step at this very moment. */
  private async disarm(victim: SupervisedProcess): Promise<boolean> {
    const late = exitOf([victim], AbortSignal.timeout(DISARM_MS));
    arm(victim, { arm: null, afterMs: 0 });
    return (await late) !== null;
  }

  private noteKill({ name, pid, signal }: ProcessExit): void {
    if (signal !== 'SIGKILL') return;
    const hand = this.handOf(pid);
    const kill = { at: Date.now(), victim: name, pid, step: hand.step, hand };
    this.kills.push(kill);
    this.options.onKill(kill);
  }

  private handOf(pid: number): Kill['hand'] {
    return inHand(readLedger(this.topology.ledgers, pid));
  }

  private stepOf(pid: number): KillPoint | null {
    return this.handOf(pid).step;
  }

  private patience(ms: number): AbortSignal {
    return AbortSignal.any([this.options.stopped, AbortSignal.timeout(ms)]);
  }
}

type PlannedStep = Extract<PlannedBlow, { type: 'step' }>;

/** Tells a process where it is to die. */
export function arm({ child }: SupervisedProcess, arming: Arming): void {
  // A channel that closes belongs to a process that has just died: its end is seen by itself.
  child?.send(arming, () => undefined);
}

/** The first of them to end; null when patience is over before. */
function exitOf(
  victims: readonly SupervisedProcess[],
  patience: AbortSignal,
): Promise<ProcessExit | null> {
  return new Promise((resolve) => {
    const settle = (exit: ProcessExit | null): void => {
      for (const { events } of victims) events.off('exit', settle);
      patience.removeEventListener('abort', onAbort);
      resolve(exit);
    };
    const onAbort = (): void => settle(null);
    for (const { events } of victims) events.on('exit', settle);
    patience.addEventListener('abort', onAbort);
    if (patience.aborted) settle(null);
  });
}
