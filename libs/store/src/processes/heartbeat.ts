import { Continuity } from './continuity.js';
import type { ProcessIdentity } from './process-identity.js';
import type { Processes } from './processes.js';
import { HEARTBEAT_MS } from './processes.js';

export interface HeartbeatEvents {
  /** The slot belongs to another process now: this one must end. */
  readonly onRefused: () => void;
  /** The database did not answer; the next beat comes all the same. */
  readonly onFailed: (error: unknown) => void;
}

/**
 * Shows the others, once a second, that this process lives; and tells it which claims it still
 * holds [A6].
 */
export class Heartbeat {
  private readonly continuity = new Continuity();
  private readonly listeners = new Set<(held: ReadonlySet<string>, askedAt: number) => void>();
  private timer: NodeJS.Timeout | null = null;
  private beating: Promise<void> = Promise.resolve();

  constructor(
    private readonly processes: Processes,
    private readonly identity: ProcessIdentity,
    private readonly events: HeartbeatEvents,
  ) {}

  start(): void {
    this.timer = setInterval(() => {
      this.beating = this.beat();
    }, HEARTBEAT_MS);
  }

  async stop(): Promise<void> {
    if (this.timer !== null) clearInterval(this.timer);
    await this.beating;
  }

  /**
   * `listener` gets the claims (`session_id epoch`) that the database says are held, and when it
   * was asked (monotonic ms).
   */
  onHeld(listener: (held: ReadonlySet<string>, askedAt: number) => void): void {
    this.listeners.add(listener);
  }

  /** Whether this process may judge others dead. */
  isSteady(): boolean {
    return this.continuity.holds(performance.now());
  }

  private async beat(): Promise<void> {
    const askedAt = performance.now();
    try {
      const heartbeat = await this.processes.heartbeat(this.identity.address);
      if (heartbeat.type === 'refused') {
        this.events.onRefused();
        return;
      }
      this.continuity.answered(performance.now());
      for (const listener of this.listeners) listener(heartbeat.held, askedAt);
    } catch (error) {
      this.continuity.failed();
      this.events.onFailed(error);
    }
  }
}
