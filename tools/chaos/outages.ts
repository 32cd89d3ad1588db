import { setTimeout as delay } from 'node:timers/promises';
import type { KafkaCluster, Postgres } from '../infrastructure/index.js';
import type { SupervisedProcess } from '../supervise/index.js';
import { takenAway } from '../supervise/index.js';

/** What is taken away from under the services, for a while. */
export const OUTAGES = ['one broker', 'all brokers', 'Postgres', 'a pause'] as const;
export type OutageKind = (typeof OUTAGES)[number];

/** What was away, and for how long. */
export interface Outage {
  readonly kind: OutageKind;
  readonly victim: string;
  readonly at: number;
  readonly endedAt: number;
}

/** How long something is away, in ms: longer than a process may be silent before it is adopted. */
const AWAY_MS = 6_000;

/** How long a process that starts may take to end because something was away, in ms. */
const NOTICED_MS = 15_000;

/** Takes away brokers and the database by SIGKILL, and gives them back. */
export class Infrastructure {
  private away = 0;

  constructor(
    private readonly kafka: KafkaCluster,
    private readonly postgres: Postgres,
  ) {}

  /** Whether something is away, or was a moment ago. */
  get isAway(): boolean {
    return this.away > 0;
  }

  /** Resolves when it serves again. `choice`: 0 ≤ r < 1, which of the brokers. */
  async takeAway(kind: Exclude<OutageKind, 'a pause'>, choice: number): Promise<string> {
    const victims = this.victims(kind, choice);
    this.away += 1;
    await takenAway(victims, () => delay(AWAY_MS));
    setTimeout(() => (this.away -= 1), NOTICED_MS);
    return victims.map(({ name }) => name).join(', ');
  }

  private victims(kind: OutageKind, choice: number): readonly SupervisedProcess[] {
    const { processes } = this.kafka;
    if (kind === 'Postgres') return [this.postgres.process];
    if (kind === 'all brokers') return processes;
    const broker = processes[Math.floor(choice * processes.length)];
    return broker === undefined ? [] : [broker];
  }
}

/**
 * Stops a process without its knowledge until others have taken its work over, and lets it go on:
 * what it still states must not count.
 */
export async function pauseProcess(victim: SupervisedProcess): Promise<void> {
  victim.kill('SIGSTOP');
  await delay(AWAY_MS);
  victim.kill('SIGCONT');
}
