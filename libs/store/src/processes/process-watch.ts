import { HEARTBEAT_MS, LEASE_MS } from './processes.js';
import type { ProcessSign } from './processes.js';

interface Sighting {
  readonly beat: number;
  /** When the beat was first seen, in ms of a clock that only rises. */
  readonly since: number;
}

/**
 * Judges which processes are dead by whether their heartbeats rise, on this process's own clock:
 * the database's may be set, and then everybody would look silent to everybody at once. Who has not
 * looked without a break for one lease judges nobody, because after an outage of the database all
 * look silent [A6].
 */
export class ProcessWatch {
  private sightings = new Map<string, Sighting>();
  private begun: number | null = null;
  private last = 0;

  /** What the table of processes shows `now`, in ms of a clock that only rises. */
  observe(signs: readonly ProcessSign[], now: number): void {
    if (this.begun === null || now - this.last > 3 * HEARTBEAT_MS) {
      this.begun = now;
      this.sightings.clear();
    }
    this.last = now;
    this.sightings = new Map(
      signs
        .filter((sign) => !sign.hasLeft)
        .map(({ incarnation, beat }) => {
          const earlier = this.sightings.get(incarnation);
          return [incarnation, earlier?.beat === beat ? earlier : { beat, since: now }];
        }),
    );
  }

  /** The table could not be read: looking begins anew. */
  failed(): void {
    this.begun = null;
  }

  /** Whether this process may judge others. */
  get isSteady(): boolean {
    return this.begun !== null && this.last - this.begun >= LEASE_MS;
  }

  /**
   * Whether a process is dead: its heartbeat has not risen for one lease, or it has left, or the
   * table does not know it.
   */
  isSilent(incarnation: string): boolean {
    if (!this.isSteady) return false;
    const sighting = this.sightings.get(incarnation);
    return sighting === undefined || this.last - sighting.since >= LEASE_MS;
  }

  /** The beat that it was judged by; null for one that has left or is not known. */
  beatOf(incarnation: string): number | null {
    return this.sightings.get(incarnation)?.beat ?? null;
  }
}
