import type { Adoption } from './adoptions.js';
import { adoptionsAfter } from './adoptions.js';
import type { ConversationHistory, Violation } from './history.js';
import { checkHistory } from './history-checker.js';
import type { PlannedKill } from './kill-schedule.js';
import type { Kill } from './killer.js';
import { kill } from './killer.js';
import type { Random } from './random.js';
import type { ProcessExit } from '../supervise/index.js';
import type { Topology } from './topology.js';
import { readAllLedgers } from './work-ledger.js';
import { Workload } from './workload.js';

export interface ChaosOptions {
  readonly plan: readonly PlannedKill[];
  readonly random: Random;
  /** Conversations at a time. */
  readonly lanes: number;
  /** No kill begins after it. */
  readonly stopped: AbortSignal;
  readonly say: (line: string) => void;
}

/** What came of killing one topology's processes. */
export interface ChaosResult {
  readonly topology: Topology['name'];
  readonly kills: readonly Kill[];
  readonly adoptions: readonly Adoption[];
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
  const kills = await kill(topology, plan, stopped, ({ victim, step }) => {
    say(
      `${topology.name}: ${victim} killed ${step === null ? 'at random' : `at ${step}`} (${workload.calls} calls so far)`,
    );
  });
  say(
    `${topology.name}: no more kills; bringing ${workload.conversations.length} conversations to rest …`,
  );
  const conversations = await workload.finish();
  return {
    topology: topology.name,
    kills,
    adoptions: adoptionsAfter(kills, readAllLedgers(topology.ledgers)),
    crashes: topology.crashes,
    conversations,
    violations: checkHistory({ conversations }),
  };
}
