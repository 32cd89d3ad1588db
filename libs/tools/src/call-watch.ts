import type { OpenCall, SessionState } from '#libs/domain';
import { SYSTEM, SessionLog } from '#libs/session-log';
import { isOutage } from '#libs/sql';
import { SessionReads } from '#libs/store';
import { Injectable } from '@nestjs/common';
import { SessionChanges } from './session-changes.js';
import { SessionPokes } from './session-pokes.js';

/** What a look at a session shows of the calls that somebody waits for. */
export type Look<T> =
  | { readonly type: 'over'; readonly value: T }
  | { readonly type: 'open'; readonly calls: readonly OpenCall[] };

/** A session is looked at at least so often while its calls are open, in ms. */
const LONGEST_MS = 1_000;

/**
 * Waits for calls of tools until the fold has an outcome of them [A18]. A call whose time is over
 * gets its outcome here.
 */
@Injectable()
export class CallWatch {
  constructor(
    private readonly sessionLog: SessionLog,
    private readonly sessions: SessionReads,
    private readonly pokes: SessionPokes,
  ) {}

  /**
   * Looks at once, and then whenever something changes in the session, until nothing is open. While
   * the storage is away it tries again. @throws the signal's reason
   */
  async until<T>(
    sessionId: string,
    look: (state: SessionState) => Look<T> | Promise<Look<T>>,
    signal?: AbortSignal,
  ): Promise<T> {
    const changes = new SessionChanges(this.pokes, sessionId, signal);
    const timedOut = new Set<string>();
    try {
      for (;;) {
        signal?.throwIfAborted();
        const changed = changes.next();
        const seen = await this.see(sessionId, look);
        if (seen === null) {
          await changed(LONGEST_MS);
          continue;
        }
        const { state, looked } = seen;
        if (looked.type === 'over') return looked.value;
        const now = Date.now();
        const left = looked.calls.filter(({ callId }) => !timedOut.has(callId));
        for (const { callId } of left.filter((call) => untilOver(call, now) === 0)) {
          const command = { type: 'ReturnTool', callId, end: { type: 'timeout' } } as const;
          await this.sessionLog.insist({ sessionId, state, by: SYSTEM, command });
          timedOut.add(callId);
        }
        const waits = left.filter(({ callId }) => !timedOut.has(callId));
        await changed(Math.min(LONGEST_MS, ...waits.map((call) => untilOver(call, now))));
      }
    } finally {
      changes.end();
    }
  }

  /** Null while the storage is away. */
  private async see<T>(
    sessionId: string,
    look: (state: SessionState) => Look<T> | Promise<Look<T>>,
  ): Promise<{ readonly state: SessionState; readonly looked: Look<T> } | null> {
    try {
      const state = await this.sessions.state(sessionId);
      return { state, looked: await look(state) };
    } catch (error) {
      if (isOutage(error)) return null;
      throw error;
    }
  }
}

function untilOver({ deadline }: OpenCall, now: number): number {
  return Math.max(0, Date.parse(deadline) - now);
}
