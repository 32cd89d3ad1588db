import type { RestartMoment } from './kill-schedule.js';
import type { Outage } from './outages.js';
import type { KillPoint } from './steps.js';
import type { InHand } from './work-ledger.js';

/** A process that died by SIGKILL. */
export interface Kill {
  readonly at: number;
  readonly victim: string;
  readonly pid: number;
  /** The step at which it really died; null for a random one. */
  readonly step: KillPoint | null;
  /** What the process had in hand. */
  readonly hand: InHand;
}

/** A process that was asked to stop, and ended by itself. */
export interface Restart {
  /** When it was asked. */
  readonly at: number;
  readonly endedAt: number;
  readonly victim: string;
  readonly kind: string;
  readonly moment: RestartMoment;
  readonly pid: number;
  /** Turns that it ran when it was asked. */
  readonly running: number;
  /** Turns that it left to others, as `session turn`. */
  readonly handedOver: readonly string[];
}

/** What was done to a topology. */
export interface Blows {
  readonly kills: readonly Kill[];
  readonly restarts: readonly Restart[];
  readonly outages: readonly Outage[];
}
