import type { Database } from '#libs/sql';
import { SbpError } from '#libs/protocol';
import type { ProjectionProgress } from '../projection/projection-progress.js';
import { rows } from '../statement.js';

/** What is asked of the log: where it ends. */
export interface LogEnds {
  partitionOf(sessionId: string): number;
  end(partition: number): Promise<number>;
}

/** How long a read waits for the read models to catch up, in ms. */
export const FRESHNESS_TIMEOUT_MS = 15_000;
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

/** Read your own writes: reads of a session wait for what was acknowledged of it [A5]. */
export class Freshness {
  constructor(
    private readonly database: Database,
    private readonly log: LogEnds,
    private readonly progress: ProjectionProgress,
  ) {}

  /**
   * Waits until the read models show all that was acknowledged of the session. `absent` only where
   * neither a claim nor, at the partition's end, a folded session exists; a claimed session that is
   * not folded yet is waited for.
   * @throws SbpError SBP_UPSTREAM_UNAVAILABLE after 15 s
   */
  async settle(sessionId: string): Promise<'present' | 'absent'> {
    const deadline = Date.now() + FRESHNESS_TIMEOUT_MS;
    const partition = this.log.partitionOf(sessionId);
    for (;;) {
      const { phase, head } = await this.look(sessionId);
      if (head === null) {
        const end = await this.log.end(partition);
        await this.waitFor(partition, end - 1, deadline);
        const settled = await this.look(sessionId);
        if (settled.head === null) return settled.phase === 'open' ? 'present' : 'absent';
        continue;
      }
      if (head >= 0) await this.waitFor(partition, head, deadline);
      if (phase === 'open') return 'present';
      // Once released at a known head and folded, it is known never to have been opened.
      if (head >= 0) {
        const settled = await this.look(sessionId);
        return settled.phase === 'open' ? 'present' : 'absent';
      }
      if (Date.now() > deadline) throw notReady();
      await new Promise((resolve) => setTimeout(resolve, UNFOLDED_POLL_MS));
    }
  }

  /** Waits until the projection has passed a position; false after `timeoutMs`. */
  async reached(
    position: { readonly partition: number; readonly offset: number },
    timeoutMs = FRESHNESS_TIMEOUT_MS,
  ): Promise<boolean> {
    return this.progress.reached(position.partition, position.offset, timeoutMs);
  }

  /** As `reached`, for a log head of the session; -1 is no head. */
  async settleAt(sessionId: string, head: number): Promise<void> {
    if (head >= 0)
      await this.waitFor(this.log.partitionOf(sessionId), head, Date.now() + FRESHNESS_TIMEOUT_MS);
  }

  private async waitFor(partition: number, offset: number, deadline: number): Promise<void> {
    const reached = await this.progress.reached(
      partition,
      offset,
      Math.max(1, deadline - Date.now()),
    );
    if (!reached) throw notReady();
  }

  private async look(sessionId: string): Promise<Sighting> {
    return this.database.read(async (reader) => {
      const [row] = await rows(reader)<Sighting>`
        SELECT (SELECT phase FROM sessions WHERE session_id = ${sessionId}) AS phase,
          (SELECT head_offset FROM claims WHERE session_id = ${sessionId}
            AND (turn_id IS NOT NULL OR head_offset >= 0)) AS head`;
      return row ?? { phase: null, head: null };
    });
  }
}

function notReady(): SbpError {
  return new SbpError(
    'SBP_UPSTREAM_UNAVAILABLE',
    'The session is not readable yet: the projection is behind. Try again.',
    {
      retryAfter: 1,
    },
  );
}
