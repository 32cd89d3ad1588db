import { SurfaceReads } from '#libs/store';
import { PeriodicTask } from '#libs/timing';
import type { OnModuleDestroy } from '@nestjs/common';
import { Injectable, Logger } from '@nestjs/common';

/** How often the sessions are looked at that somebody listens to, in ms. */
const LOOK_MS = 500;
/** Sessions in one query. */
const CHUNK = 500;
/** How many may listen at once in this process, and to one session. */
const MOST = 1_000;
export const MOST_OF_SESSION = 32;

/** Those who listen to one session, and its attachment as they know it. */
interface Listened {
  readonly listeners: Set<() => void>;
  /** Undefined before the first look. */
  attachId: string | null | undefined;
}

/**
 * Tells clients of MCP that listen when the tools of a session have changed: with each surface that
 * comes or goes, at whichever gateway. One query looks at many sessions, and only at those.
 */
@Injectable()
export class ToolChanges implements OnModuleDestroy {
  private readonly logger = new Logger('ToolChanges');
  private readonly sessions = new Map<string, Listened>();
  private readonly task: PeriodicTask;
  private isRunning = false;
  private count = 0;

  constructor(private readonly reads: SurfaceReads) {
    this.task = new PeriodicTask({
      everyMs: LOOK_MS,
      work: () => this.look(),
      onFault: (error) => this.logger.warn(`the look for changes failed: ${String(error)}`),
    });
  }

  /** Whether nobody more may listen to a session. */
  isFull(sessionId: string): boolean {
    const ofSession = this.sessions.get(sessionId)?.listeners.size ?? 0;
    return this.count >= MOST || ofSession >= MOST_OF_SESSION;
  }

  /** Gives what ends the listening. `attachId`: what the listener knows to be attached. */
  listen(sessionId: string, attachId: string | null, listener: () => void): () => void {
    const listened = this.sessions.get(sessionId) ?? { listeners: new Set(), attachId };
    this.sessions.set(sessionId, listened);
    listened.listeners.add(listener);
    this.count += 1;
    if (!this.isRunning) this.task.start();
    this.isRunning = true;
    return () => {
      if (!listened.listeners.delete(listener)) return;
      this.count -= 1;
      if (listened.listeners.size === 0) this.sessions.delete(sessionId);
    };
  }

  async onModuleDestroy(): Promise<void> {
    await this.task.stop();
  }

  private async look(): Promise<void> {
    const ids = [...this.sessions.keys()];
    for (let from = 0; from < ids.length; from += CHUNK) {
      const glances = await this.reads.glance(ids.slice(from, from + CHUNK));
      for (const [sessionId, { attachId }] of glances) this.tell(sessionId, attachId);
    }
  }

  private tell(sessionId: string, attachId: string | null): void {
    const listened = this.sessions.get(sessionId);
    if (listened === undefined || listened.attachId === attachId) return;
    listened.attachId = attachId;
    for (const listener of listened.listeners) listener();
  }
}
