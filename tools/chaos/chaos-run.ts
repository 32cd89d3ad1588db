import type { Adoption } from './adoptions.js';
import { adoptionsAfter } from './adoptions.js';
import type { ConversationHistory, Violation } from './history.js';
import { withKept } from './consumers.js';
import { checkHistory } from './history-checker.js';
import type { Kill, Restart } from './blows.js';
import type { Outage } from './outages.js';
import type { PlannedBlow } from './kill-schedule.js';
import { Killer } from './killer.js';
import { MemoryWatch } from './memory-watch.js';
import type { Random } from './random.js';
import type { ProcessExit } from '../supervise/index.js';
import type { Topology } from './topology.js';
import { readAllLedgers } from './work-ledger.js';
import { Workload } from './workload.js';

export interface ChaosOptions {
  readonly plan: readonly PlannedBlow[];
  readonly random: Random;
  /** Conversations at a time. */
  readonly lanes: number;
  /** No blow begins after it. */
  readonly stopped: AbortSignal;
  readonly say: (line: string) => void;
}

/** What came of killing one topology's processes. */
export interface ChaosResult {
  readonly topology: Topology['name'];
  readonly kinds: Topology['kinds'];
  readonly kills: readonly Kill[];
  readonly restarts: readonly Restart[];
  readonly outages: readonly Outage[];
  readonly adoptions: readonly Adoption[];
  /** The most bytes that each process held in memory. */
  readonly memory: Readonly<Record<string, number>>;
  readonly crashes: readonly ProcessExit[];
  readonly conversations: readonly ConversationHistory[];
  readonly violations: readonly Violation[];
}

/**
 * Talks to a running system while its processes are killed, brings it to rest, and judges what
 * everybody was told.
 */
export async function runChaos(topology: Topology, options: ChaosOptions): Promise<ChaosResult> {
  const { plan, random, lanes, stopped, say } = options;
  const workload = new Workload(topology, random.fork('workload'), lanes);
  const told = (what: string): void =>
    say(`${topology.name}: ${what} (${workload.calls} calls so far)`);
  const killer = new Killer(topology, {
    calls: workload,
    stopped,
    onKill: ({ victim, step }) => told(`${victim} killed ${step ?? 'at random'}`),
    onRestart: ({ victim, running, handedOver, moment }) =>
      told(`${victim} stopped (${moment}): it ran ${running} turns, and left ${handedOver.length}`),
    onOutage: ({ kind, victim }) => told(`an outage (${kind}): ${victim} was away`),
  });
  const memory = new MemoryWatch(topology.victims);
  const blows = await killer.run(plan);
  const { length } = workload.conversations;
  say(`${topology.name}: no more blows; bringing ${length} conversations to rest …`);
  const conversations = await withKept(await workload.finish(), topology.url);
  const held = await memory.stop();
  const damage = await topology.damageOfTrail();
  return {
    topology: topology.name,
    kinds: topology.kinds,
    ...blows,
    adoptions: adoptionsAfter(blows, readAllLedgers(topology.ledgers)),
    memory: Object.fromEntries(held),
    crashes: topology.crashes,
    conversations,
    violations: [
      ...damaged(damage),
      ...checkHistory({
        conversations,
        // A process that was paused, or what it needs, is as good as dead meanwhile.
        killedAt: [
          ...blows.kills.map(({ at }) => at),
          ...blows.outages.flatMap(({ at, endedAt }) => [at, endedAt]),
        ],
        alwaysTaken: topology.victims.length > 1,
      }),
    ],
  };
}

function damaged(damage: string | null): readonly Violation[] {
  return damage === null ? [] : [{ rule: 'unkept', conversation: 'all', detail: damage }];
}
