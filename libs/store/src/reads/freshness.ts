import { SbpError } from '#libs/protocol';
import type { Database } from '#libs/sql';
import { pause } from '#libs/timing';
import type { ProjectionProgress } from '../projection/projection-progress.js';
import { SessionQuarantined } from '../quarantine/stored-state.js';
import { rows } from '../statement.js';

/** What is asked of the log: where it ends. */
export interface LogEnds {
  readonly partitions: number;
  partitionOf(sessionId: string): number;
  end(partition: number): Promise<number>;
}

/** A place in the log, of the last record that is to be seen. */
interface Position {
  readonly partition: number;
  readonly offset: number;
}

/** How long a read waits for the read models to catch up, in ms. */
const FRESHNESS_TIMEOUT_MS = 15_000;
/** How often a session that is claimed but not in the log yet is looked for, in ms. */
const UNFOLDED_POLL_MS = 20;

interface Sighting {
  readonly phase: string | null;
  /**
   * Null without a claim, or with one that was given up before anything was acknowledged; -1 while
   * nothing is.
   */
  readonly head: number | null;
}

/**
 * Read your own writes: reads of a session wait for what was acknowledged of it [A5].
 *
 * - A *writer* waits for the head that the session's claim row holds (`presence`, `foldedUpTo`): it
 *   is at least as new as every turn.
 * - A *reader* waits for the end of the session's partition (`latest`): it also sees events that no
 *   claim tells of, such as a detach. Readers share one question to the log.
 *
 * A session is absent only where neither a claim row nor, at the partition's end, a folded session
 * exists. What does not catch up in 15 s is told as 503 to try again.
 */
export class Freshness {
  constructor(
    private readonly database: Database,
    private readonly log: LogEnds,
    private readonly progress: ProjectionProgress,
    private readonly timeoutMs = FRESHNESS_TIMEOUT_MS,
  ) {}

  /**
   * Waits until the read models show every owned event of the session that was acknowledged; a
   * claimed session that is not folded yet is waited for.
   * @throws SbpError SBP_UPSTREAM_UNAVAILABLE after 15 s; SessionQuarantined
   */
  async presence(sessionId: string): Promise<'present' | 'absent'> {
    const deadline = performance.now() + this.timeoutMs;
    for (;;) {
      const { phase, head } = await this.look(sessionId);
      if (head === null) {
        await this.waitForEnd(sessionId, deadline);
        const then = await this.look(sessionId);
        if (then.head === null) return then.phase === 'open' ? 'present' : 'absent';
        continue;
      }
      if (head >= 0) await this.waitFor(this.positionOf(sessionId, head), deadline);
      if (phase === 'open') return 'present';
      // Once released at a known head and folded, it is known never to have been opened.
      if (head >= 0) {
        const then = await this.look(sessionId);
        return then.phase === 'open' ? 'present' : 'absent';
      }
      if (performance.now() > deadline) throw notReadable();
      await pause(UNFOLDED_POLL_MS);
    }
  }

  /**
   * As `presence`, and waits for everything that was acknowledged before the call, whoever wrote
   * it.
   */
  async latest(sessionId: string): Promise<'present' | 'absent'> {
    const deadline = performance.now() + this.timeoutMs;
    await this.waitForEnd(sessionId, deadline);
    return this.presence(sessionId);
  }

  /**
   * Waits for everything of all sessions that was acknowledged before the call. @throws as
   * `presence`
   */
  async everywhere(): Promise<void> {
    const deadline = performance.now() + this.timeoutMs;
    const partitions = Array.from({ length: this.log.partitions }, (_, partition) => partition);
    await Promise.all(
      partitions.map(async (partition) => {
        const end = await this.log.end(partition);
        await this.waitFor({ partition, offset: end - 1 }, deadline);
      }),
    );
  }

  /** Waits until a log head of the session is folded; -1 is no head. @throws as `presence` */
  async foldedUpTo(sessionId: string, head: number): Promise<void> {
    if (head < 0) return;
    await this.waitFor(this.positionOf(sessionId, head), performance.now() + this.timeoutMs);
  }

  /** Waits until the fold has passed a position; false after `timeoutMs`. */
  async reached(position: Position, timeoutMs = this.timeoutMs): Promise<boolean> {
    return this.progress.reached(position.partition, position.offset, timeoutMs);
  }

  /** Waits until the fold has passed a position, however long that takes. */
  async untilFolded(position: Position): Promise<void> {
    while (!(await this.reached(position)));
  }

  /** The fold was seen to be at `next` in the session's partition. */
  seen(sessionId: string, next: number): void {
    this.progress.advanced(this.log.partitionOf(sessionId), next);
  }

  private async waitForEnd(sessionId: string, deadline: number): Promise<void> {
    const end = await this.log.end(this.log.partitionOf(sessionId));
    await this.waitFor(this.positionOf(sessionId, end - 1), deadline);
  }

  private async waitFor(position: Position, deadline: number): Promise<void> {
    const left = Math.max(1, deadline - performance.now());
    if (!(await this.reached(position, left))) throw notReadable();
  }

  /** Where an offset of the session is. */
  positionOf(sessionId: string, offset: number): Position {
    return { partition: this.log.partitionOf(sessionId), offset };
  }

  private async look(sessionId: string): Promise<Sighting> {
    return this.database.read(async (reader) => {
      const [row] = await rows(reader)<Sighting>`
        SELECT (SELECT phase FROM sessions WHERE session_id = ${sessionId}) AS phase,
          (SELECT head_offset FROM claims WHERE session_id = ${sessionId}
            AND (turn_id IS NOT NULL OR head_offset >= 0)) AS head`;
      if (row?.phase === 'quarantined') throw new SessionQuarantined();
      return row ?? { phase: null, head: null };
    });
  }
}

function notReadable(): SbpError {
  return new SbpError(
    'SBP_UPSTREAM_UNAVAILABLE',
    'The session is not readable yet, because the projection is behind. Try again.',
    { retryAfter: 1 },
  );
}
